"""Reads an account's balance through the gRPC API, with stubs made from the repository's own protos."""

import sys
import tempfile
from decimal import Decimal
from pathlib import Path

from link import Failed

PROTO = Path(__file__).resolve().parents[2] / "proto"
DEADLINE_SECONDS = 10


class Balance:
    def __init__(self, address, msisdn):
        # Only needed with --grpc.
        import grpc
        import grpc_tools
        from grpc_tools import protoc

        self.rpc_error = grpc.RpcError
        out = tempfile.mkdtemp(prefix="tollgate-proto-")
        well_known = Path(grpc_tools.__file__).parent / "_proto"
        sources = [str(path) for path in sorted((PROTO / "tollgate/v1").glob("*.proto"))]
        options = [f"-I{PROTO}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}"]
        if protoc.main(["protoc", *options, *sources]) != 0:
            raise Failed("protos do not compile")
        sys.path.insert(0, out)
        from tollgate.v1 import accounts_pb2, accounts_pb2_grpc, types_pb2

        self.stub = accounts_pb2_grpc.AccountServiceStub(grpc.insecure_channel(address))
        identity = types_pb2.Identity(kind=types_pb2.Identity.KIND_E164, value=msisdn)
        self.request = accounts_pb2.GetAccountRequest(account=types_pb2.AccountRef(identity=identity))

    def read(self):
        """Balance and reserved money."""
        try:
            account = self.stub.GetAccount(self.request, timeout=DEADLINE_SECONDS, wait_for_ready=True).account
        except self.rpc_error as error:
            raise Failed(f"GetAccount: {error}") from error
        return Decimal(account.balance.amount), Decimal(account.reserved.amount or "0")
