"""Hypothesis strategies: any JSON, and events of AWS with one changed part."""

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

FIELDS = [
    *("requestContext", "headers", "multiValueHeaders", "version", "httpMethod", "path", "rawPath"),
    *("routeKey", "resource", "type", "methodArn", "body", "isBase64Encoded", "Records", "method"),
    *("question", "messages", "cache", "parameters", "detail-type", "source", "authorizer", "elb"),
    *("http", "eventType", "connectionId", "stage", "identity", "raw_path", "Sns", "s3", "cf"),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["2.0", "1.0", "TOKEN", "REQUEST", "POST", "/ask", "aws:s3", "aws:sns", "\ud800"]
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=20,
)


@st.composite
def changed(draw: st.DrawFn, events: list[Any]) -> Any:
    """Return an event with one changed part, at any depth."""
    return _changed(draw, deepcopy(draw(st.sampled_from(events))))


def _changed(draw: st.DrawFn, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 3)) == 0:
        return draw(JSON)
    keys: Any = value if isinstance(value, dict) else range(len(value))
    at = draw(st.sampled_from(sorted(keys)))
    value[at] = _changed(draw, value[at])
    return value
