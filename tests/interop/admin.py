"""The server's gRPC API, with stubs made from the repository's own protos."""

import sys
import tempfile
from decimal import Decimal
from pathlib import Path

from link import Failed

PROTO = Path(__file__).resolve().parents[2] / "proto"
DEADLINE_SECONDS = 10


def stubs():
    """Modules of package tollgate.v1: pairs of messages and service for accounts, balances and sessions; types."""
    import grpc_tools
    from grpc_tools import protoc

    well_known = Path(grpc_tools.__file__).parent / "_proto"
    sources = [str(path) for path in sorted((PROTO / "tollgate/v1").glob("*.proto"))]
    with tempfile.TemporaryDirectory(prefix="tollgate-proto-") as out:
        options = [f"-I{PROTO}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}"]
        if protoc.main(["protoc", *options, *sources]) != 0:
            raise Failed("protos do not compile")
        sys.path.insert(0, out)
        from tollgate.v1 import accounts_pb2, accounts_pb2_grpc, balances_pb2, balances_pb2_grpc, types_pb2
        from tollgate.v1 import sessions_pb2, sessions_pb2_grpc

        accounts, balances = (accounts_pb2, accounts_pb2_grpc), (balances_pb2, balances_pb2_grpc)
        return accounts, balances, (sessions_pb2, sessions_pb2_grpc), types_pb2


class Admin:
    def __init__(self, address):
        # Only needed where the API is asked.
        import grpc

        self.rpc_error = grpc.RpcError
        (self.accounts, accounts_grpc), (self.balances, balances_grpc), sessions, self.types = stubs()
        self.sessions, sessions_grpc = sessions
        channel = grpc.insecure_channel(address)
        self.account_service = accounts_grpc.AccountServiceStub(channel)
        self.balance_service = balances_grpc.BalanceServiceStub(channel)
        self.session_service = sessions_grpc.SessionServiceStub(channel)

    def create(self, account, currency, balance, msisdn):
        """A new account with one subscriber."""
        money = self.types.Money(currency=currency, amount=balance)
        request = self.accounts.CreateAccountRequest(account_id=account, currency=currency, initial_balance=money)
        self.call(self.account_service.CreateAccount, request)
        subscriber = self.accounts.Subscriber(subscriber_id="1", identities=[self.e164(msisdn)])
        request = self.accounts.CreateSubscriberRequest(account_id=account, subscriber=subscriber)
        self.call(self.account_service.CreateSubscriber, request)

    def top_up(self, msisdn, currency, amount, request_id):
        money = self.types.Money(currency=currency, amount=amount)
        request = self.balances.TopUpRequest(account=self.named(msisdn), amount=money, request_id=request_id)
        self.call(self.balance_service.TopUp, request)

    def terminate(self, session_id):
        """An operator ends a session."""
        self.call(self.session_service.TerminateSession, self.sessions.TerminateSessionRequest(session_id=session_id))

    def money(self, msisdn):
        """Balance, reserved and available money."""
        request = self.accounts.GetAccountRequest(account=self.named(msisdn))
        account = self.call(self.account_service.GetAccount, request).account
        return tuple(Decimal(money.amount or "0") for money in (account.balance, account.reserved, account.available))

    def named(self, msisdn):
        return self.types.AccountRef(identity=self.e164(msisdn))

    def e164(self, msisdn):
        return self.types.Identity(kind=self.types.Identity.KIND_E164, value=msisdn)

    def call(self, method, request):
        try:
            return method(request, timeout=DEADLINE_SECONDS, wait_for_ready=True)
        except self.rpc_error as error:
            raise Failed(f"{type(request).__name__}: {error}") from error
