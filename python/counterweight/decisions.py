"""Record decisions of models with ``cw decision serve``, and hold it to its receipts.

A decision is what ``docs/guides/log-decisions.md`` says: inputs, outputs, the person it is about. What comes back is a
receipt, signed by the account that owns the log: this entry, at this place, anchored by then. It is checked here before
anybody sees it, so an answer that is returned is a promise that can be shown to others.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

from counterweight import _native

__all__ = ["Decision", "Receipt", "ReceiptError", "Recorded", "Recorder", "RecordingError"]

Value = bool | int | float | str | None
"""What a field holds."""

_MOST_ANSWER = 64 << 20
_MOST_DECISIONS = 4096


class RecordingError(Exception):
    """The decisions are not recorded, as far as is known. ``status`` is that of HTTP, or none where nobody answered."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ReceiptError(Exception):
    """The decisions may be recorded, but what was answered promises nothing: keep ``answer``."""

    def __init__(self, message: str, answer: object) -> None:
        super().__init__(message)
        self.answer = answer


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A decision to be recorded. Fields that the endpoint has and that are not given are recorded as nothing."""

    subject: str
    """Whom it is about, by any name that can be found again; it is stored nowhere."""
    outputs: Mapping[str, Value]
    inputs: Mapping[str, Value] = field(default_factory=dict)
    variables: Mapping[str, Value] = field(default_factory=dict)
    reviewer: Mapping[str, Value] = field(default_factory=dict)
    """``name`` and ``note`` of the person who reviewed it."""
    consent: str | None = None
    """What refers to the subject's consent."""
    overridden: bool = False
    """A person decided otherwise than the model."""
    generated: bool = False
    """The output is content, such as a text or a picture."""
    made_at: datetime | None = None
    """When it was made, with its time zone; now where it is not said."""
    endpoint: str | None = None
    """Which endpoint decided; needed where the receiver has several."""

    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = {"subject": self.subject}
        for name in ("inputs", "variables", "outputs", "reviewer"):
            if part := dict(getattr(self, name)):
                document[name] = part
        if self.consent is not None:
            document["consent"] = {"reference": self.consent}
        if self.overridden:
            document["overridden"] = True
        if self.generated:
            document["generated"] = True
        if self.made_at is not None:
            if self.made_at.tzinfo is None:
                raise ValueError("made_at has no time zone")
            document["time_ms"] = round(self.made_at.timestamp() * 1000)
        if self.endpoint is not None:
            document["endpoint"] = self.endpoint
        return document


@dataclass(frozen=True)
class Receipt:
    """A promise whose signature held: the entry will be at ``index`` of a checkpoint that is anchored by ``deadline``."""

    document: str
    """As it was signed: keep this, it is what a contract takes."""
    origin: str
    """First line of the log's checkpoints."""
    endpoint: bytes
    """SHA-256 of the endpoint's name."""
    counter: int
    """Which decision of the endpoint, counted from 0 without gaps."""
    index: int
    """Place in the log, counted from 0."""
    leaf: bytes
    """RFC 6962 leaf hash of the entry."""
    deadline: datetime


@dataclass(frozen=True)
class Recorded:
    """A decision that is safe on the receiver's disk."""

    index: int
    entry: bytes
    """What the log holds: commitments, no value of the decision."""
    receipt: Receipt


class Recorder:
    """Records decisions with a receiver.

    :param url: Where ``cw decision serve`` listens, ``https://…`` or, on one machine, ``http://127.0.0.1:7422``.
    :param token: A bearer token of its ``--tokens``.
    :param owner: Account that signs its receipts, ``0x…``, from somewhere other than the receiver: whoever asks the
        receiver for it believes whatever it says.
    :param certificates: A file of authorities in PEM to trust instead of the system's.
    :param timeout: Seconds to wait for one answer.
    :param patience: Seconds to go on trying while the receiver is full or not there.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        owner: str,
        certificates: str | None = None,
        timeout: float = 30.0,
        patience: float = 30.0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address of a receiver: https://host:port")
        # On the way of plain HTTP everybody reads, and a token is for whoever has it.
        if token is not None and parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("a token goes over https only, unless the receiver is on this machine")
        self._url = url.rstrip("/") + "/v1/decisions"
        self._token = token
        self._owner = owner
        self._timeout = timeout
        self._patience = patience
        # Without proxies of the environment where the receiver is on this machine, and without redirects anywhere: a
        # token is for one host.
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if parts.scheme == "https":
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=certificates)))
        else:
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def record(
        self,
        subject: str,
        *,
        outputs: Mapping[str, Value],
        inputs: Mapping[str, Value] | None = None,
        variables: Mapping[str, Value] | None = None,
        reviewer: Mapping[str, Value] | None = None,
        consent: str | None = None,
        overridden: bool = False,
        generated: bool = False,
        made_at: datetime | None = None,
        endpoint: str | None = None,
    ) -> Recorded:
        """Records a decision, :class:`Decision` says of what. When this returns it is safe on disk and its receipt holds."""
        (recorded,) = self.record_all(
            [
                Decision(
                    subject=subject,
                    outputs=outputs,
                    inputs=inputs or {},
                    variables=variables or {},
                    reviewer=reviewer or {},
                    consent=consent,
                    overridden=overridden,
                    generated=generated,
                    made_at=made_at,
                    endpoint=endpoint,
                )
            ]
        )
        return recorded

    def record_all(self, decisions: Iterable[Decision]) -> list[Recorded]:
        """Records decisions in one request, all of them or none: at most 4,096."""
        documents = [decision._document() for decision in decisions]
        if not documents:
            return []
        if len(documents) > _MOST_DECISIONS:
            raise ValueError(f"{len(documents)} decisions in one request, at most {_MOST_DECISIONS} are taken")
        # Numbers that are not finite are refused here: JSON has none.
        body = json.dumps(documents, allow_nan=False, ensure_ascii=False).encode()
        answer = self._post(body)
        try:
            answered = json.loads(answer)["decisions"]
            if not isinstance(answered, list) or len(answered) != len(documents):
                raise ValueError(f"{len(documents)} decisions were sent, another number was answered")
            recorded = [self._checked(one, document) for one, document in zip(answered, documents, strict=True)]
            if len({one.index for one in recorded}) != len(recorded):
                raise ValueError("two decisions were promised one place")
        except (ValueError, KeyError, TypeError) as error:
            raise ReceiptError(f"what was answered promises nothing: {error}", answer) from error
        return recorded

    def _checked(self, answered: Any, document: Mapping[str, Any]) -> Recorded:
        text = answered["receipt"]
        if not isinstance(text, str):
            raise ValueError("there is no receipt: the receiver has no account to sign with")
        origin, endpoint, counter, index, leaf, deadline = _native.check_receipt(text.encode(), self._owner)
        entry = bytes.fromhex(answered["entry"])
        leaf = bytes(leaf)
        if hashlib.sha256(b"\0" + entry).digest() != leaf:
            raise ValueError("the receipt is of another entry")
        if index != answered["index"]:
            raise ValueError(f"the receipt is of entry {index}, the answer says {answered['index']}")
        named = document.get("endpoint")
        if named is not None and hashlib.sha256(named.encode()).digest() != bytes(endpoint):
            raise ValueError("the receipt is of another endpoint")
        receipt = Receipt(
            document=text,
            origin=origin,
            endpoint=bytes(endpoint),
            counter=counter,
            index=index,
            leaf=leaf,
            deadline=datetime.fromtimestamp(deadline, UTC),
        )
        return Recorded(index=index, entry=entry, receipt=receipt)

    def _post(self, body: bytes) -> bytes:
        headers = {"content-type": "application/json", "accept": "application/json"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        until = time.monotonic() + self._patience
        pause = 0.1
        while True:
            request = urllib.request.Request(self._url, body, headers, method="POST")
            try:
                with self._opener.open(request, timeout=self._timeout) as answer:
                    read: bytes = answer.read(_MOST_ANSWER + 1)
                if len(read) > _MOST_ANSWER:
                    raise ReceiptError(f"the answer has more than {_MOST_ANSWER} bytes", read[:1024])
                return read
            except urllib.error.HTTPError as error:
                failure = RecordingError(_said(error), error.code)
                if error.code not in (429, 503):
                    raise failure from error
            except urllib.error.URLError as error:
                # Nothing was sent where no connection came about. Of a connection that broke off nobody knows, and trying
                # again might record twice.
                if not isinstance(error.reason, ConnectionRefusedError):
                    raise RecordingError(f"{self._url} does not answer: {error.reason}") from error
                failure = RecordingError(f"nobody listens at {self._url}")
            except OSError as error:
                raise RecordingError(f"{self._url} does not answer: {error}") from error
            if time.monotonic() + pause > until:
                raise failure
            time.sleep(pause)
            pause = min(2 * pause, 5.0)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        return None


def _said(error: urllib.error.HTTPError) -> str:
    """The receiver's own words."""
    try:
        message = json.loads(error.read(1 << 16))["error"]["message"]
    except (ValueError, KeyError, TypeError, OSError):
        message = error.reason
    return f"the receiver refuses ({error.code}): {message}"
