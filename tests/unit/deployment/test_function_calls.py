"""The events of `make invoke`."""

from deployment.function_calls import with_outputs


def test_names_of_outputs_in_an_event_are_replaced_and_others_stay() -> None:
    event = '{"bucket": "${Bucket}", "text": "${Nothing} costs $5"}'
    filled = with_outputs(event, {"Bucket": "shop-documents"})
    assert filled == '{"bucket": "shop-documents", "text": "${Nothing} costs $5"}'
