"""The preset dictionary of compressed answers: their most frequent field names and values.

A short answer of a chat model is a few words within a kilobyte of constant field names. With a
preset dictionary, zlib writes a reference to the dictionary instead of each name.

``DICTIONARY`` is frozen: compressed answers need the same bytes to be decompressed. Each begins
with the id of its dictionary (RFC 1950, section 2.2: DICTID), and zlib refuses another id. Change
the dictionary together with ``keys.KEY_VERSION``.

References to the end are the shortest, so the most frequent text is last.
"""

from __future__ import annotations

_GOOGLE = (
    '{"function_call":{"name":"","arguments":"{\\"'
    '"}},"__gemini_function_call_thought_signatures__":{"'
    '"promptFeedback":{"block_reason":0,"safety_ratings":[]}'
    '"extras":{"signature":"'
    '"finish_reason":"MAX_TOKENS","model_name":"gemini-2.5-pro'
    '[{"kind":"ChatGeneration","info":{"finish_reason":"STOP","model_name":"gemini-2.5-flash",'
    '"safety_ratings":[]},"message":{"kind":"AIMessage","fields":{"content":"'
    '"response_metadata":{"finish_reason":"STOP","model_name":"gemini-2.5-flash",'
    '"safety_ratings":[],"model_provider":"google_genai"},"id":"lc_run--'
)
_OPENAI_RESPONSES = (
    '"extras":{"item_id":"fc_","status":"completed"}'
    '{"arguments":"{\\"","call_id":"call_","name":"'
    '","type":"function_call","id":"fc_","status":"completed"}'
    '[{"kind":"ChatGeneration","info":null,"message":{"kind":"AIMessage","fields":{"content":['
    '{"id":"rs_","summary":[{"index":0,"type":"summary_text","text":"'
    '"}],"type":"reasoning","encrypted_content":"gAAAAAB'
    '{"type":"text","text":"","annotations":[],"index":"lc_txt_0","id":"msg_'
    '"}],"response_metadata":{"id":"resp_","created_at":1700000000.0,"metadata":{},'
    '"model":"gpt-5-mini-2025-08-07","object":"response","service_tier":"default",'
    '"status":"completed","model_provider":"openai","model_name":"gpt-5-mini-2025-08-07"},'
    '"id":"resp_'
)
_OPENAI = (
    '"logprobs":{"content":[{"token":"","bytes":[],"logprob":-0.0,"top_logprobs":[]},'
    '"parsed":null,"refusal":null'
    '[{"kind":"ChatGeneration","info":{"finish_reason":"tool_calls","logprobs":null},'
    '"message":{"kind":"AIMessage","fields":{"content":"","additional_kwargs":{"refusal":null},'
    '"response_metadata":{"token_usage":{"completion_tokens":1,"prompt_tokens":1,"total_tokens":1,'
    '"completion_tokens_details":null,"prompt_tokens_details":null'
    '"completion_tokens_details":{"accepted_prediction_tokens":0,"audio_tokens":0,'
    '"reasoning_tokens":0,"rejected_prediction_tokens":0},'
    '"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":0}},"model_provider":"openai",'
    '"model_name":"gpt-4.1-mini-2025-04-14","model_name":"gpt-4o-mini-2024-07-18",'
    '"system_fingerprint":"fp_","id":"chatcmpl-","service_tier":"default",'
    '"finish_reason":"tool_calls","logprobs":null},"id":"lc_run--'
    '"finish_reason":"stop","logprobs":null},"id":"lc_run--'
    '"input_token_details":{"audio":0,"cache_read":0},'
    '"output_token_details":{"audio":0,"reasoning":0}}}}}]'
    '"input_token_details":{},"output_token_details":{}}}}}]'
)
_ANTHROPIC = (
    '[{"signature":"E","thinking":"","type":"thinking"},{"text":"","type":"text"},'
    '{"id":"toolu_01","input":{"","name":"","type":"tool_use","toolset_name":null}],'
    '"citations":null,"response_metadata":{"id":"msg_01","container":null,'
    '"context_management":null,"diagnostics":null,"model":"claude-haiku-4-5-20251001",'
    '"model":"claude-sonnet-4-5-20250929","stop_details":null,"stop_reason":"tool_use",'
    '"stop_reason":"end_turn","stop_sequence":null,"usage":{"cache_creation":null,'
    '"cache_creation":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":0},'
    '"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"inference_geo":null,'
    '"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"inference_geo":"not_available",'
    '"input_tokens":1,"output_tokens":1,"output_tokens_details":null,"server_tool_use":null,'
    '"service_tier":null,"service_tier":"standard","speed":null},'
    '"model_name":"claude-sonnet-4-5-20250929","model_provider":"anthropic"},"id":"lc_run--'
    '"input_token_details":{"cache_read":0,"cache_creation":0,"ephemeral_5m_input_tokens":0,'
    '"ephemeral_1h_input_tokens":0}}}}}]'
)
_BLOCKS = (
    '"output_version":"v1"},"id":"lc_run--'
    '"parsed":{"","index":"lc_tc_0","index":0},"extras":{"signature":"'
    '{"kind":"AIMessageChunk","fields":{"content":"","chunk_position":"last"'
    '{"kind":"ChatGenerationChunk","info":null,"message":'
    '{"type":"image","base64":"","mime_type":"image/png"}'
    '[{"type":"reasoning","reasoning":"","extras":{"signature":"'
    '[{"type":"reasoning_content","reasoning_content":{"text":"","signature":"'
    '{"type":"tool_call","name":"","args":{"","id":"'
    '{"type":"tool_use","name":"","input":{"","id":"tooluse_'
    '"}},{"type":"text","text":"'
)
_RESPONSES = (
    '[{"summary":"","usage":{"input_tokens":'
    '[{"answer":"","stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1,'
    '"total_tokens":1}}]'
)
_BEDROCK = (
    '"content-type":"application/vnd.amazon.eventstream","transfer-encoding":"chunked",'
    '[{"kind":"Generation","info":null,"text":"'
    '"model_name":"anthropic.claude-3-7-sonnet-20250219-v1:0"'
    '"model_name":"us.anthropic.claude-sonnet-4-5-20250929-v1:0"'
    '"model_name":"us.amazon.nova-lite-v1:0"'
    '[{"kind":"ChatGeneration","info":null,"message":{"kind":"AIMessage","fields":{"content":"'
    '"additional_kwargs":{"'
    '"response_metadata":{"ResponseMetadata":{"RequestId":"","HTTPStatusCode":200,"HTTPHeaders":{'
    '"date":"Thu, 01 Jan 2026 00:00:00 GMT","content-type":"application/json","content-length":"",'
    '"connection":"keep-alive","x-amzn-requestid":""},"RetryAttempts":0},"stopReason":"tool_use",'
    '"stopReason":"end_turn","metrics":{"latencyMs":[1]},"model_provider":"bedrock_converse",'
    '"model_name":"anthropic.claude-haiku-4-5-20251001-v1:0"},"id":"lc_run--019'
    '-0","tool_calls":[{"name":"","args":{"query":"","city":"","id":"call_tooluse_",'
    '"type":"tool_call"}],"usage_metadata":{"input_tokens":1,"output_tokens":1,"total_tokens":1,'
    '"input_token_details":{"cache_creation":0,"cache_read":0}}}}}]'
)
_CHAT = _GOOGLE + _OPENAI_RESPONSES + _OPENAI + _ANTHROPIC + _BLOCKS
DICTIONARY = (_CHAT + _RESPONSES + _BEDROCK).encode()
