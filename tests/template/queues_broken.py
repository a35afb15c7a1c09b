"""For each rule of queues and buckets, templates to which it objects."""

from tests.template import queues
from tests.template.breaking import ABSENT, SUMMARIZE, Breach

MESSAGES = "Resources/DocumentMessages/Properties"
MAPPING = "Resources/DocumentMessagesToSummarize/Properties"
BUCKET = "Resources/Documents"
SENDING = "Resources/S3MaySendDocumentMessages/Properties/PolicyDocument/Statement"
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
        1,
    ),
    (
        queues.a_message_that_always_fails_is_kept_aside,
        f"{MESSAGES}/MessageRetentionPeriod",
        1209600,
    ),
    (queues.one_message_s_failure_is_no_other_s, f"{MAPPING}/FunctionResponseTypes", ABSENT),
    (queues.a_flood_of_messages_leaves_room_for_others, f"{MAPPING}/ScalingConfig", ABSENT),
    (
        queues.a_flood_of_messages_leaves_room_for_others,
        "Parameters/SummaryConcurrency/MinValue",
        1,
    ),
    (
        queues.a_queue_is_read_by_whom_it_is_for,
        f"{MAPPING}/FunctionName",
        {"Ref": "SummarizeFunction"},
    ),
    (
        queues.a_queue_is_read_by_whom_it_is_for,
        f"{STATEMENTS}/0/Resource",
        {"Fn::GetAtt": ["FlushFailures", "Arn"]},
    ),
    (queues.a_queue_is_read_by_whom_it_is_for, f"{STATEMENTS}/0", ABSENT),
    (
        queues.a_queue_is_read_by_whom_it_is_for,
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
    (queues.nothing_goes_in_clear, "Resources/DocumentsByTls", ABSENT),
    (
        queues.nothing_goes_in_clear,
        "Resources/DocumentsByTls/Properties/PolicyDocument/Statement/0/Resource/1",
        ABSENT,
    ),
    (queues.nothing_goes_in_clear, f"{SENDING}/1", ABSENT),
    *(
        (queues.a_policy_lets_this_account_s_buckets_send_and_nobody_else, place, value)
        for place, value in (
            (f"{SENDING}/0/Condition", ABSENT),
            (f"{SENDING}/0/Principal", "*"),
            (f"{SENDING}/0/Action", "sqs:*"),
            (f"{SENDING}/1/Effect", "Allow"),
            ("Resources/DocumentsByTls/Properties/PolicyDocument/Statement/0/Effect", "Allow"),
            ("Resources/Open", OPEN),
        )
    ),
    (queues.an_upload_is_told_to_the_queue, f"{SENDING}/0", ABSENT),
    (queues.an_upload_is_told_to_the_queue, f"{BUCKET}/DependsOn", ABSENT),
    (queues.a_summary_is_not_told_to_the_queue, f"{TOLD}/Filter", ABSENT),
    (
        queues.a_summary_is_not_told_to_the_queue,
        f"{TOLD}/Filter/S3Key/Rules/0/Value",
        "summaries/documents/",
    ),
    (
        queues.a_summary_is_not_told_to_the_queue,
        f"{STATEMENTS}/2/Resource",
        {"Fn::Sub": "${Documents.Arn}/documents/summaries/*"},
    ),
]
