"""Rules of invocation: who can call a function, and how many calls run at a time."""

from collections.abc import Iterator

from tests.template.resolved_template import ABSENT, ResolvedTemplate
from tests.template.rule import broken_by

ASK = "Resources/AskFunction/Properties"
FLUSH = "Resources/FlushCacheFunction/Properties"
CALLED_BY_URL = {"AskFunction"}
AWS_ONLY_EVENTS = {"ScheduleV2", "SQS"}


@broken_by(
    (f"{ASK}/FunctionUrlConfig/AuthType", "NONE"),
    (f"{ASK}/FunctionUrlConfig", ABSENT),
    (f"{FLUSH}/FunctionUrlConfig", {"AuthType": "AWS_IAM"}),
    (f"{ASK}/Events", {"Api": {"Type": "HttpApi", "Properties": {"Path": "/ask"}}}),
)
def only_ask_has_a_url_and_it_needs_a_signature(template: ResolvedTemplate) -> Iterator[str]:
    for name, function in template.functions.items():
        expected = "AWS_IAM" if name in CALLED_BY_URL else None
        if function.get("FunctionUrlConfig", {}).get("AuthType") != expected:
            yield f"{name} has no URL, or a URL that needs no signature"
        for event in function.get("Events", {}).values():
            if event["Type"] not in AWS_ONLY_EVENTS:
                yield f"{name}: {event['Type']} can be sent from outside AWS"


SIGNED_HEADERS = {
    *("authorization", "content-type"),
    *("x-amz-content-sha256", "x-amz-date", "x-amz-security-token"),
}


@broken_by(
    (f"{ASK}/FunctionUrlConfig/Cors", {"AllowOrigins": ["*"]}),
    (f"{ASK}/FunctionUrlConfig/Cors/Fn::If/1/AllowOrigins", ["*"]),
    (f"{ASK}/FunctionUrlConfig/Cors/Fn::If/1/AllowHeaders", ["content-type"]),
    (f"{ASK}/FunctionUrlConfig/Cors/Fn::If/1/AllowCredentials", True),
    ("Parameters/CorsOrigins/Default", "*"),
)
def web_pages_call_ask_from_the_chosen_origins(template: ResolvedTemplate) -> Iterator[str]:
    cors = template.functions["AskFunction"].get("FunctionUrlConfig", {}).get("Cors", {})
    origins = template.choices.get("CorsOrigins")
    if cors.get("AllowOrigins") != (origins.split(",") if origins else None):
        yield "web pages of other origins can call ask"
    headers = set(cors.get("AllowHeaders", SIGNED_HEADERS))
    if not headers >= SIGNED_HEADERS or "AllowCredentials" in cors:
        yield "web pages cannot sign a request, or send cookies"


@broken_by(
    (f"{FLUSH}/ReservedConcurrentExecutions", 1),
    (f"{ASK}/ReservedConcurrentExecutions", {"Ref": "AskReservedConcurrency"}),
    ("Parameters/AskReservedConcurrency/Default", "5"),
)
def only_ask_reserves_concurrency_and_only_if_chosen(template: ResolvedTemplate) -> Iterator[str]:
    """A new AWS account has no concurrency to reserve: its deployment would fail."""
    for name, function in template.functions.items():
        chosen = template.choices.get("AskReservedConcurrency") if name == "AskFunction" else None
        if function.get("ReservedConcurrentExecutions") != chosen:
            yield f"{name} reserves concurrency, or does not reserve the chosen one"
