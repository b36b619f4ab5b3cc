"""Short-term API keys of Bedrock."""

import base64

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def short_term(access_key, secret, token=None, *, region="us-east-1", hours=12):
    """Create a short-term key in the format of aws-bedrock-token-generator 1.1.0."""
    host = "bedrock.amazonaws.com"
    request = AWSRequest(
        "POST", f"https://{host}/", {"host": host}, params={"Action": "CallWithBearerToken"}
    )
    keys = Credentials(access_key, secret, token)
    SigV4QueryAuth(keys, "bedrock", region, expires=hours * 3600).add_auth(request)
    assert request.url is not None
    url = request.url.removeprefix("https://") + "&Version=1"
    return f"bedrock-api-key-{base64.b64encode(url.encode()).decode()}"
