"""For each rule of how a change goes out, templates to which it objects."""

from tests.template import releases
from tests.template.breaking import (
    ABSENT,
    ASK,
    FLUSH,
    REVISION,
    SHARED,
    Breach,
)

BREACHES: list[Breach] = [
    (releases.a_new_setting_reaches_the_alias, f"{FLUSH}/VersionDescription", ABSENT),
    (releases.a_new_setting_reaches_the_alias, f"{ASK}/VersionDescription", "of the cache"),
    (
        releases.a_new_setting_reaches_the_alias,
        f"{SHARED}/Environment/Variables/SETTINGS_REVISION",
        ABSENT,
    ),
    (
        releases.a_new_setting_reaches_the_alias,
        f"{SHARED}/Environment/Variables/NEW",
        {"Ref": "LogRetentionDays"},
    ),
    (
        releases.a_new_setting_reaches_the_alias,
        f"{ASK}/Environment/Variables/NEW",
        {"Fn::If": ["Monitored", "on", "off"]},
    ),
    (
        releases.a_new_setting_reaches_the_alias,
        f"{ASK}/Environment/Variables/SHARE_ANSWERS",
        "nobody",
    ),
    (
        releases.a_new_setting_reaches_the_alias,
        "Parameters/SigningKeyParameter/MaxLength",
        ABSENT,
    ),
    (
        releases.a_new_setting_reaches_the_alias,
        f"{REVISION}/PolicyDocument/Statement/0/Effect",
        "Allow",
    ),
    (releases.a_new_setting_reaches_the_alias, f"{FLUSH}/Policies/0/Ref", "SettingsRevision"),
    (releases.a_rollout_goes_back_when_it_fails, f"{ASK}/DeploymentPreference/Alarms", ABSENT),
    (
        releases.a_rollout_goes_back_when_it_fails,
        f"{ASK}/DeploymentPreference/Alarms/Fn::If/1",
        [{"Ref": "SummarizeErrors"}, {"Ref": "ModelMisconfigured"}],
    ),
    (
        releases.a_rollout_goes_back_when_it_fails,
        f"{ASK}/DeploymentPreference/Alarms/Fn::If/1",
        [{"Ref": "AskErrors"}, {"Ref": "ModelErrors"}],
    ),
    (
        releases.a_rollout_goes_back_when_it_fails,
        f"{ASK}/DeploymentPreference/Alarms/Fn::If/1",
        [{"Ref": "AskErrors"}],
    ),
    (releases.a_rollout_goes_back_when_it_fails, f"{ASK}/DeploymentPreference/Enabled", True),
    (releases.a_rollout_goes_back_when_it_fails, "Mappings/Rollouts/AllAtOnce/CodeDeploy", True),
    (releases.a_rollout_goes_back_when_it_fails, "Mappings/Rollouts/AllAtOnce", ABSENT),
    (
        releases.snapshots_are_off_and_refused_where_there_are_none,
        "Parameters/SnapStart/Default",
        "PublishedVersions",
    ),
    (
        releases.snapshots_are_off_and_refused_where_there_are_none,
        "Rules/SnapStartNeedsPython312",
        ABSENT,
    ),
    (releases.snapshots_are_off_and_refused_where_there_are_none, f"{SHARED}/SnapStart", ABSENT),
    (
        releases.tracing_is_off_by_default_and_brings_no_library,
        "Parameters/Tracing/Default",
        "Active",
    ),
    (releases.tracing_is_off_by_default_and_brings_no_library, f"{SHARED}/Tracing", "Active"),
    (
        releases.the_template_shares_the_layer_with_nobody,
        "Resources/LayerForEverybody",
        {"Type": "AWS::Lambda::LayerVersionPermission", "Properties": {"Principal": "*"}},
    ),
    (
        releases.the_layer_is_found_by_other_stacks,
        "Resources/LayerArnParameter/Properties/Name",
        "/llm-cache/layer-arn",
    ),
    (releases.the_layer_is_found_by_other_stacks, "Resources/LayerArnParameter", ABSENT),
    (
        releases.a_rollout_goes_back_when_it_fails,
        f"{ASK}/DeploymentPreference/Type",
        "AllAtOnce",
    ),
    (
        releases.snapshots_are_off_and_refused_where_there_are_none,
        "Rules/SnapStartNeedsPython312/RuleCondition/Fn::Equals/1",
        "None",
    ),
    (
        releases.the_layer_is_found_by_other_stacks,
        "Resources/LayerArnParameter/Properties/Type",
        "StringList",
    ),
]
