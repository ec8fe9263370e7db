"""Drives an emulator with boto3 through an application's whole life, and holds every answer against AWS's own model.

Usage: aws_cli.py ENDPOINT. Exits with 0 when all went as it should.
"""

import datetime
import json
import re
import sys
import time
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

NAME = "orders"
# An operation that is under way has no end, whatever the model says.
TOLERATED = {("ApplicationOperationInfoDetails", "EndTime")}
# Answered by the services to what is malformed, and in no operation's list of errors.
UNMODELLED = {("dynamodb", "ValidationException")}


def check_shape(shape, value, path):
    """Fails unless a value of an answer's JSON is what its shape in the model says."""

    def fail(what):
        raise AssertionError(f"{path}: {what}: {value!r}")

    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            fail("no structure")
        for name in value:
            if name not in shape.members:
                fail(f"the model has no member {name}")
        for name in shape.required_members:
            if name not in value and (shape.name, name) not in TOLERATED:
                fail(f"the required member {name} is missing")
        for name, member in value.items():
            check_shape(shape.members[name], member, f"{path}.{name}")
    elif kind == "list":
        if not isinstance(value, list):
            fail("no list")
        for index, member in enumerate(value):
            check_shape(shape.member, member, f"{path}[{index}]")
    elif kind == "map":
        for key, member in value.items():
            check_shape(shape.value, member, f"{path}.{key}")
    elif kind == "string":
        if not isinstance(value, str):
            fail("no string")
        if shape.enum and value not in shape.enum:
            fail("not of the enumeration")
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            fail(f"not of the pattern {pattern}")
    elif kind == "boolean":
        if not isinstance(value, bool):
            fail("no boolean")
    elif kind in ("integer", "long"):
        if not isinstance(value, int) or isinstance(value, bool):
            fail("no whole number")
    elif kind == "timestamp":
        if not isinstance(value, (int, float)):
            fail("no seconds since 1970")
    else:
        fail(f"a shape of the kind {kind} is not looked for")
    length = len(value) if kind in ("string", "list") else value
    if kind in ("string", "list", "integer", "long"):
        if length < shape.metadata.get("min", length) or length > shape.metadata.get("max", length):
            fail("out of its bounds")


CHECKED = set()


def check_answer(http_response, parsed, model, **_):
    CHECKED.add(model.name)
    body = json.loads(http_response.content)
    if http_response.status_code == 200:
        check_shape(model.output_shape, body, model.name)
    else:
        errors = {shape.name for shape in model.error_shapes}
        code = parsed["Error"]["Code"]
        service = model.service_model.service_name
        assert code in errors or (service, code) in UNMODELLED, f"{model.name} has no {code}: {body}"


class Application:
    def __init__(self, client):
        self.client = client

    def detail(self):
        return self.client.describe_application(ApplicationName=NAME)["ApplicationDetail"]

    def until(self, status):
        deadline = time.monotonic() + 60
        while (found := self.detail()["ApplicationStatus"]) != status:
            assert time.monotonic() < deadline, f"still {found}, not {status}"
            time.sleep(0.05)

    def until_all_tasks_run(self, url):
        """A snapshot needs all tasks running, which comes a little after the status RUNNING."""
        deadline = time.monotonic() + 60
        while True:
            with urllib.request.urlopen(url.replace("/flinkdashboard?", "/flinkdashboard/jobs/overview?")) as answer:
                jobs = json.load(answer)["jobs"]
            if any(job["state"] == "RUNNING" and job["tasks"]["running"] == job["tasks"]["total"] for job in jobs):
                return
            assert time.monotonic() < deadline, jobs
            time.sleep(0.05)

    def operation(self, operation_id):
        answer = self.client.describe_application_operation(ApplicationName=NAME, OperationId=operation_id)
        return answer["ApplicationOperationInfoDetails"]


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(f"{code} expected")


def made_client(service_name, endpoint):
    """A client whose every answer is checked."""
    client = boto3.client(
        service_name,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIDPYTHON",
        aws_secret_access_key="any",
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"after-call.{service}", check_answer)
    return client


def check_logs(logs):
    """Nothing is in the simulated jobs' logs; what there is of them is answered as the model says."""
    group = "/aws/x"
    assert [found["logGroupName"] for found in logs.describe_log_groups()["logGroups"]] == [group]
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert [found["logStreamName"] for found in streams] == ["y"]
    assert logs.filter_log_events(logGroupName=group, filterPattern='{ $.messageType = "ERROR" }')["events"] == []
    newest = logs.get_log_events(logGroupName=group, logStreamName="y")
    again = logs.get_log_events(logGroupName=group, logStreamName="y", nextToken=newest["nextForwardToken"])
    assert again["nextForwardToken"] == newest["nextForwardToken"]
    refused("ResourceNotFoundException", logs.filter_log_events, logGroupName="/aws/absent")
    refused("InvalidParameterException", logs.filter_log_events, logGroupName=group, filterPattern="[a, b]")


def check_dynamodb(dynamodb):
    """One item under conditions, in a table that is there and in one that is made."""
    item = {"application": {"S": NAME}, "revision": {"N": "1"}, "turns": {"S": "{}"}}
    first = {"TableName": "turns", "Item": item, "ConditionExpression": "attribute_not_exists(application)"}
    dynamodb.put_item(**first)
    refused("ConditionalCheckFailedException", dynamodb.put_item, **first)
    advance = {
        "TableName": "turns",
        "Item": item | {"revision": {"N": "2"}},
        "ConditionExpression": "#r = :r OR (NOT attribute_exists(#r) AND :r < :two)",
        "ExpressionAttributeNames": {"#r": "revision"},
        "ExpressionAttributeValues": {":r": {"N": "1.0"}, ":two": {"N": "2"}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    assert dynamodb.put_item(**advance, ReturnValues="ALL_OLD")["Attributes"] == item
    try:
        dynamodb.put_item(**advance)
    except dynamodb.exceptions.ConditionalCheckFailedException as error:
        assert error.response["Item"]["revision"] == {"N": "2"}, error.response
    else:
        raise AssertionError("the condition does not hold any more")
    key = {"TableName": "turns", "Key": {"application": {"S": NAME}}}
    assert dynamodb.get_item(**key, ConsistentRead=True)["Item"]["revision"] == {"N": "2"}
    assert dynamodb.delete_item(**key) and "Item" not in dynamodb.get_item(**key)
    refused("ValidationException", dynamodb.put_item, TableName="turns", Item={"application": {"N": "1"}})
    refused("ValidationException", dynamodb.get_item, **key, ProjectionExpression="turns")
    refused("ResourceNotFoundException", dynamodb.describe_table, TableName="uploads")
    dynamodb.create_table(
        TableName="uploads",
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.get_waiter("table_exists").wait(TableName="uploads")
    dynamodb.put_item(TableName="uploads", Item={"key": {"S": "a"}, "sequencer": {"S": "0055"}})


def check_step_functions(step_functions, endpoint):
    """Executions that are started, stopped, ended, listed and told of, and their state machine."""
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:deploy"
    start = {"stateMachineArn": machine, "name": "first", "input": '{"application": "orders"}'}
    started = step_functions.start_execution(**start)
    again = step_functions.start_execution(**start)
    assert (again["executionArn"], again["startDate"]) == (started["executionArn"], started["startDate"])
    refused("ExecutionAlreadyExists", step_functions.start_execution, **start | {"input": "{}"})
    refused("InvalidName", step_functions.start_execution, **start | {"name": "a b"})
    refused("StateMachineDoesNotExist", step_functions.start_execution, **start | {"stateMachineArn": machine + "s"})
    arn = {"executionArn": started["executionArn"]}
    running = step_functions.describe_execution(**arn)
    assert running["status"] == "RUNNING" and json.loads(running["input"]) == {"application": "orders"}, running
    step_functions.stop_execution(**arn, error="Manual", cause="by hand")
    aborted = step_functions.describe_execution(**arn)
    assert (aborted["status"], aborted["error"]) == ("ABORTED", "Manual"), aborted
    second = step_functions.start_execution(**start | {"name": "second"})["executionArn"]
    end = {"executionArn": second, "status": "SUCCEEDED", "output": '{"outcome": "Deployed"}'}
    request = urllib.request.Request(f"{endpoint}/_emulator/end-execution", data=json.dumps(end).encode())
    urllib.request.urlopen(request).read()
    described = step_functions.describe_execution(executionArn=second)
    assert (described["status"], described["output"]) == ("SUCCEEDED", '{"outcome": "Deployed"}'), described
    pages = step_functions.get_paginator("list_executions").paginate(
        stateMachineArn=machine, PaginationConfig={"PageSize": 1}
    )
    assert [it["name"] for page in pages for it in page["executions"]] == ["second", "first"]
    filtered = step_functions.list_executions(stateMachineArn=machine, statusFilter="ABORTED")["executions"]
    assert [it["name"] for it in filtered] == ["first"]
    refused("ExecutionDoesNotExist", step_functions.describe_execution, executionArn=second + "s")
    history = step_functions.get_paginator("get_execution_history").paginate(
        executionArn=second, PaginationConfig={"PageSize": 1}
    )
    events = [event for page in history for event in page["events"]]
    assert [it["type"] for it in events] == ["ExecutionStarted", "ExecutionSucceeded"], events
    refused("ExecutionDoesNotExist", step_functions.get_execution_history, executionArn=second + "s")
    machines = step_functions.list_state_machines()["stateMachines"]
    assert [it["stateMachineArn"] for it in machines] == [machine], machines
    described = step_functions.describe_state_machine(stateMachineArn=machine)
    assert (described["status"], json.loads(described["definition"])["StartAt"]) == ("ACTIVE", "Undefined"), described
    refused("StateMachineDoesNotExist", step_functions.describe_state_machine, stateMachineArn=machine + "s")


def main(endpoint):
    for key in ("first.json", "second.json"):
        url = f"{endpoint}/_emulator/code?bucket=code&key={key}"
        urllib.request.urlopen(urllib.request.Request(url, data=b"{}", method="POST")).read()
    client = made_client("kinesisanalyticsv2", endpoint)
    application = Application(client)

    # Create
    created = client.create_application(
        ApplicationName=NAME,
        ApplicationDescription="what the test drives",
        RuntimeEnvironment="FLINK-1_20",
        ServiceExecutionRole="arn:aws:iam::123456789012:role/flink",
        ApplicationConfiguration={
            "ApplicationCodeConfiguration": {
                "CodeContentType": "ZIPFILE",
                "CodeContent": {
                    "S3ContentLocation": {"BucketARN": "arn:aws:s3:::code", "FileKey": "first.json"},
                },
            },
            "FlinkApplicationConfiguration": {
                "ParallelismConfiguration": {
                    "ConfigurationType": "CUSTOM",
                    "Parallelism": 2,
                    "ParallelismPerKPU": 1,
                    "AutoScalingEnabled": False,
                },
            },
            "EnvironmentProperties": {
                "PropertyGroups": [{"PropertyGroupId": "source", "PropertyMap": {"stream": "orders"}}],
            },
            "ApplicationSnapshotConfiguration": {"SnapshotsEnabled": True},
        },
        CloudWatchLoggingOptions=[
            {"LogStreamARN": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/x:log-stream:y"},
        ],
        Tags=[{"Key": "team", "Value": "streams"}],
    )["ApplicationDetail"]
    assert created["ApplicationStatus"] == "READY" and created["ApplicationVersionId"] == 1
    assert [it["ApplicationName"] for it in client.list_applications()["ApplicationSummaries"]] == [NAME]
    arn = created["ApplicationARN"]
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "team", "Value": "streams"}]
    client.tag_resource(ResourceARN=arn, Tags=[{"Key": "stage", "Value": "test"}])
    client.untag_resource(ResourceARN=arn, TagKeys=["stage"])

    # Start
    refused("ResourceInUseException", client.stop_application, ApplicationName=NAME)
    started = client.start_application(
        ApplicationName=NAME,
        RunConfiguration={
            "ApplicationRestoreConfiguration": {"ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT"},
            "FlinkRunConfiguration": {"AllowNonRestoredState": False},
        },
    )
    assert application.operation(started["OperationId"])["OperationStatus"] in ("IN_PROGRESS", "SUCCESSFUL")
    application.until("RUNNING")

    # Look at Flink
    url = client.create_application_presigned_url(ApplicationName=NAME, UrlType="FLINK_DASHBOARD_URL")["AuthorizedUrl"]
    assert url.startswith(f"{endpoint}/flinkdashboard?authToken="), url
    application.until_all_tasks_run(url)
    try:
        urllib.request.urlopen(f"{endpoint}/flinkdashboard/jobs?authToken=wrong")
    except urllib.error.HTTPError as error:
        assert error.code == 403, error
    else:
        raise AssertionError("a wrong token was let in")

    # Update
    refused(
        "ConcurrentModificationException",
        client.update_application,
        ApplicationName=NAME,
        CurrentApplicationVersionId=7,
    )
    updated = client.update_application(
        ApplicationName=NAME,
        ConditionalToken=application.detail()["ConditionalToken"],
        ApplicationConfigurationUpdate={
            "ApplicationCodeConfigurationUpdate": {
                "CodeContentUpdate": {"S3ContentLocationUpdate": {"FileKeyUpdate": "second.json"}},
            },
            "FlinkApplicationConfigurationUpdate": {
                "ParallelismConfigurationUpdate": {"ParallelismUpdate": 4},
            },
        },
        RunConfigurationUpdate={
            "FlinkRunConfiguration": {"AllowNonRestoredState": False},
            "ApplicationRestoreConfiguration": {"ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT"},
        },
    )
    assert updated["ApplicationDetail"]["ApplicationVersionId"] == 2
    application.until("RUNNING")
    operation = application.operation(updated["OperationId"])
    assert operation["OperationStatus"] == "SUCCESSFUL"
    assert isinstance(operation["EndTime"], datetime.datetime)
    assert operation["ApplicationVersionChangeDetails"] == {
        "ApplicationVersionUpdatedFrom": 1,
        "ApplicationVersionUpdatedTo": 2,
    }

    # Operations and versions
    operations = client.list_application_operations(ApplicationName=NAME)["ApplicationOperationInfoList"]
    assert [it["Operation"] for it in operations] == ["UpdateApplication", "StartApplication"], operations
    versions = client.list_application_versions(ApplicationName=NAME)["ApplicationVersionSummaries"]
    assert [it["ApplicationVersionId"] for it in versions] == [2, 1], versions
    first = client.describe_application_version(ApplicationName=NAME, ApplicationVersionId=1)
    configuration = first["ApplicationVersionDetail"]["ApplicationConfigurationDescription"]
    code = configuration["ApplicationCodeConfigurationDescription"]["CodeContentDescription"]
    assert code["S3ApplicationCodeLocationDescription"]["FileKey"] == "first.json"

    # Snapshot
    application.until_all_tasks_run(url)
    client.create_application_snapshot(ApplicationName=NAME, SnapshotName="mine")
    deadline = time.monotonic() + 60
    while True:
        answer = client.describe_application_snapshot(ApplicationName=NAME, SnapshotName="mine")
        snapshot = answer["SnapshotDetails"]
        if snapshot["SnapshotStatus"] != "CREATING":
            break
        assert time.monotonic() < deadline, "the snapshot is still CREATING"
        time.sleep(0.05)
    assert snapshot["SnapshotStatus"] == "READY" and snapshot["ApplicationVersionId"] == 2, snapshot
    pages = client.get_paginator("list_application_snapshots").paginate(ApplicationName=NAME, PaginationConfig={"PageSize": 1})
    listed = [it for page in pages for it in page["SnapshotSummaries"]]
    assert len(listed) == 2 and listed[0]["SnapshotName"] == "mine", listed

    # Rollback
    rolled_back = client.rollback_application(ApplicationName=NAME, CurrentApplicationVersionId=2)
    assert rolled_back["ApplicationDetail"]["ApplicationStatus"] == "ROLLING_BACK"
    application.until("RUNNING")
    assert application.operation(rolled_back["OperationId"])["OperationStatus"] == "SUCCESSFUL"
    detail = application.detail()
    assert (detail["ApplicationVersionId"], detail["ApplicationVersionRolledBackTo"]) == (3, 1), detail

    # Delete the snapshot, stop by force, maintain, delete
    client.delete_application_snapshot(
        ApplicationName=NAME,
        SnapshotName="mine",
        SnapshotCreationTimestamp=snapshot["SnapshotCreationTimestamp"],
    )
    client.update_application_maintenance_configuration(
        ApplicationName=NAME,
        ApplicationMaintenanceConfigurationUpdate={"ApplicationMaintenanceWindowStartTimeUpdate": "20:30"},
    )
    stopped = client.stop_application(ApplicationName=NAME, Force=True)
    application.until("READY")
    assert application.operation(stopped["OperationId"])["OperationStatus"] == "SUCCESSFUL"
    check_logs(made_client("logs", endpoint))
    check_dynamodb(made_client("dynamodb", endpoint))
    check_step_functions(made_client("stepfunctions", endpoint), endpoint)
    added = client.add_application_cloud_watch_logging_option(
        ApplicationName=NAME,
        CurrentApplicationVersionId=3,
        CloudWatchLoggingOption={"LogStreamARN": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/x:log-stream:z"},
    )
    application.until("READY")
    client.delete_application_cloud_watch_logging_option(
        ApplicationName=NAME,
        CurrentApplicationVersionId=4,
        CloudWatchLoggingOptionId=added["CloudWatchLoggingOptionDescriptions"][-1]["CloudWatchLoggingOptionId"],
    )
    application.until("READY")
    client.add_application_vpc_configuration(
        ApplicationName=NAME,
        CurrentApplicationVersionId=5,
        VpcConfiguration={"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
    )
    application.until("READY")
    client.delete_application(ApplicationName=NAME, CreateTimestamp=created["CreateTimestamp"])
    deadline = time.monotonic() + 60
    while client.list_applications()["ApplicationSummaries"]:
        assert time.monotonic() < deadline, "the application is still there"
        time.sleep(0.05)
    refused("ResourceNotFoundException", client.describe_application, ApplicationName=NAME)
    assert len(CHECKED) == 40, sorted(CHECKED)


if __name__ == "__main__":
    main(sys.argv[1])
