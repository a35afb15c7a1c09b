"""For each rule of queues and buckets, templates to which it objects."""

from tests.template import queues
from tests.template.breaking import ABSENT, SUMMARIZE, Breach

MESSAGES = "Resources/DocumentMessages/Properties"
MAPPING = "Resources/DocumentMessagesToSummarize/Properties"
BUCKET = "Resources/Documents"
POLICY = "Resources/S3MaySendDocumentMessages/Properties"
SENDING, QUEUES = f"{POLICY}/PolicyDocument/Statement", f"{POLICY}/Queues"
TOLD = f"{BUCKET}/Properties/NotificationConfiguration/QueueConfigurations/0"
STATEMENTS = f"{SUMMARIZE}/Policies/2/Statement"
OPEN = {
    "Type": "AWS::SQS::QueuePolicy",
    "Properties": {
        "Queues": [{"Ref": "FlushFailures"}],
        "PolicyDocument": {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*"}]},
    },
}

BREACHES: list[Breach] = [
    (
        queues.a_message_does_not_come_again_while_it_is_worked_on,
        f"{MESSAGES}/VisibilityTimeout",
        ABSENT,
    ),
    (queues.a_message_does_not_come_again_while_it_is_worked_on, f"{SUMMARIZE}/Timeout", 301),
    (queues.a_message_that_always_fails_is_kept_aside, f"{MESSAGES}/RedrivePolicy", ABSENT),
    (
        queues.a_message_that_always_fails_is_kept_aside,
        f"{MESSAGES}/RedrivePolicy/deadLetterTargetArn",
        {"Fn::GetAtt": ["DocumentMessages", "Arn"]},
    ),
    (
        queues.a_message_that_always_fails_is_kept_aside,
        f"{MESSAGES}/RedrivePolicy/maxReceiveCount",
        5,
    ),
    (
        queues.a_message_that_always_fails_is_kept_aside,
        f"{MESSAGES}/MessageRetentionPeriod",
        1209600,
    ),
    (queues.one_message_s_failure_is_no_other_s, f"{MAPPING}/FunctionResponseTypes", ABSENT),
    (queues.one_message_s_failure_is_no_other_s, f"{MAPPING}/BatchSize", 5),
    (queues.a_flood_of_messages_leaves_room_for_others, f"{MAPPING}/ScalingConfig", ABSENT),
    (
        queues.a_flood_of_messages_leaves_room_for_others,
        "Parameters/SummaryConcurrency/MinValue",
        1,
    ),
    (
        queues.a_queue_is_used_by_whom_it_is_for,
        f"{MAPPING}/FunctionName",
        {"Ref": "SummarizeFunction"},
    ),
    (
        queues.a_queue_is_used_by_whom_it_is_for,
        f"{STATEMENTS}/0/Resource",
        {"Fn::GetAtt": ["FlushFailures", "Arn"]},
    ),
    (queues.a_queue_is_used_by_whom_it_is_for, f"{STATEMENTS}/0", ABSENT),
    (queues.a_queue_is_used_by_whom_it_is_for, f"{STATEMENTS}/1", ABSENT),
    (queues.a_queue_is_used_by_whom_it_is_for, f"{STATEMENTS}/1/Resource/1", ABSENT),
    (
        queues.a_queue_is_used_by_whom_it_is_for,
        f"{SUMMARIZE}/Environment/Variables/DOCUMENT_FAILURES",
        {"Ref": "FlushFailures"},
    ),
    (
        queues.a_queue_is_used_by_whom_it_is_for,
        f"{SUMMARIZE}/Events",
        {"Messages": {"Type": "SQS", "Properties": {}}},
    ),
    (queues.a_bucket_is_private_and_outlives_the_stack, f"{BUCKET}/DeletionPolicy", "Delete"),
    (queues.a_bucket_is_private_and_outlives_the_stack, f"{BUCKET}/UpdateReplacePolicy", ABSENT),
    *(
        (queues.a_bucket_is_private_and_outlives_the_stack, f"{BUCKET}/Properties/{name}", ABSENT)
        for name in ("VersioningConfiguration", "BucketEncryption", "OwnershipControls")
    ),
    (
        queues.a_bucket_is_private_and_outlives_the_stack,
        f"{BUCKET}/Properties/PublicAccessBlockConfiguration/IgnorePublicAcls",
        False,
    ),
    (
        queues.a_bucket_is_private_and_outlives_the_stack,
        f"{BUCKET}/Properties/BucketName",
        "documents",
    ),
    (
        queues.a_bucket_is_private_and_outlives_the_stack,
        f"{BUCKET}/Properties/LifecycleConfiguration/Rules/1",
        {"Id": "all", "Status": "Enabled", "ExpirationInDays": 30},
    ),
    (queues.nothing_goes_in_clear, "Resources/DocumentsByTls", ABSENT),
    (
        queues.nothing_goes_in_clear,
        "Resources/DocumentsByTls/Properties/PolicyDocument/Statement/0/Resource/1",
        ABSENT,
    ),
    (queues.nothing_goes_in_clear, f"{SENDING}/0", ABSENT),
    *((queues.nothing_goes_in_clear, f"{QUEUES}/{number}", ABSENT) for number in range(3)),
    *(
        (queues.a_policy_lets_this_account_s_services_send_and_nobody_else, place, value)
        for place, value in (
            (f"{SENDING}/0/Effect", "Allow"),
            (f"{SENDING}/1/Condition", ABSENT),
            (f"{SENDING}/1/Principal", "*"),
            (f"{SENDING}/1/Action", "sqs:*"),
            (f"{SENDING}/1/Resource", "*"),
            (f"{SENDING}/2/Condition", ABSENT),
            ("Resources/DocumentsByTls/Properties/PolicyDocument/Statement/0/Effect", "Allow"),
            ("Resources/Open", OPEN),
        )
    ),
    (queues.an_upload_is_told_to_the_queue, f"{SENDING}/1", ABSENT),
    (queues.an_upload_is_told_to_the_queue, f"{BUCKET}/DependsOn", ABSENT),
    (queues.a_summary_is_not_told_to_the_queue, f"{TOLD}/Filter", ABSENT),
    (
        queues.a_summary_is_not_told_to_the_queue,
        f"{TOLD}/Filter/S3Key/Rules/0/Value",
        "summaries/documents/",
    ),
    (
        queues.a_summary_is_not_told_to_the_queue,
        f"{STATEMENTS}/3/Resource",
        {"Fn::Sub": "${Documents.Arn}/documents/summaries/*"},
    ),
]
