"""The rules on images and videos."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from tunestack.records.conversation import Media
from tunestack.records.findings import quote

if TYPE_CHECKING:
    from tunestack.records.conversation import Conversation, Turn
    from tunestack.records.findings import Findings
    from tunestack.records.target import Target

# The characters that AWS's validators accept; S3 accepts more.
_S3_URI = re.compile(r"s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9](?:/[A-Za-z0-9_.-]+)+")
_ACCOUNT = re.compile(r"\d{12}")
_URL = re.compile(r"https?://\S+|data:image/[a-zA-Z]+;base64,\S+")
_MAX_IMAGE_SIZE = 10 * 2**20
_UNSUPPORTED_IMAGES = ("gif", "bmp", "tif", "tiff", "svg", "heic", "avif")


def check_media(conversation: Conversation, target: Target, findings: Findings) -> None:
    """Check the images and videos of a record."""
    counts: Counter[str] = Counter()
    for turn, block in conversation.blocks():
        if isinstance(block, Media):
            counts[block.kind] += 1
            _check_block(block, turn, target, findings)
    limit = target.model.limits.max_images
    if limit is not None and counts["image"] > limit:
        message = f"the record has {counts['image']} images, the maximum is {limit}"
        findings.add("media-count", "$", message)
    for kind in ("video", "document"):
        if counts[kind] > 1:
            message = f"the record has {counts[kind]} {kind}s, the maximum is 1"
            findings.add("media-count", "$", message)
    if counts["video"] and len(counts) > 1:
        message = "the record has a video and images or a document: use only one kind"
        findings.add("media-mix", "$", message)
    elif counts["document"] and counts["image"]:
        message = "has images and a document: AWS's validator in amazon-nova-samples accepts both, amzn-nova-forge only one kind"
        findings.add("sources-disagree", "$", message)


def _check_block(block: Media, turn: Turn, target: Target, findings: Findings) -> None:
    if block.kind not in target.model.supports:
        message = f"{target.model.name} does not support {block.kind} content in training data"
        findings.add("unsupported-media", turn.path, message)
        return
    if turn.role != "user":
        message = f"only user messages can have {block.kind} content, this is a {turn.role} message"
        findings.add("media-role", turn.path, message)
    _check_source(block, turn, target, findings)
    _check_format(block, turn, target, findings)


def _check_source(block: Media, turn: Turn, target: Target, findings: Findings) -> None:
    if target.is_openai:
        if not _URL.fullmatch(block.uri):
            findings.add("media-source", turn.path, "expected an https or data URL of an image")
        elif block.uri.startswith("data:"):
            size = (len(block.uri) - block.uri.find(",")) * 3 // 4
            if size > _MAX_IMAGE_SIZE:
                message = (
                    f"the image has {size / 2**20:.1f} MiB, the maximum is 10 MiB: make it smaller"
                )
                findings.add("media-size", turn.path, message)
    elif not _S3_URI.fullmatch(block.uri):
        message = (
            f"expected the S3 URI of the {block.kind} in the bucket of the training data, with letters, "
            "digits and _ . / - in the key: upload it and use s3://bucket/key"
        )
        findings.add("media-source", turn.path, message)
    if block.owner is not None and not _ACCOUNT.fullmatch(block.owner):
        findings.add("media-source", turn.path, "bucketOwner must be an account id of 12 digits")


def _check_format(block: Media, turn: Turn, target: Target, findings: Findings) -> None:
    formats = _supported_formats(block.kind, target)
    if (block.format, target.model_key) == ("webp", "nova-2-lite"):
        message = "the image format is webp: amzn-nova-forge accepts it for Nova 2 Lite, AWS's validator in amazon-nova-samples does not"
        findings.add("sources-disagree", turn.path, message)
        return
    # The format of a web address is often unknown.
    is_unknown = block.uri.startswith("http") and block.format not in _UNSUPPORTED_IMAGES
    if block.format not in formats and not is_unknown:
        message = f"expected {block.kind} format {', '.join(formats)}, found {quote(block.format)}"
        findings.add("media-format", turn.path, message)


def _supported_formats(kind: str, target: Target) -> tuple[str, ...]:
    if target.is_openai:
        return ("png", "jpeg", "webp")
    is_nova_2 = target.model_key == "nova-2-lite"
    if kind == "document":
        return ("pdf",)
    if kind == "video":
        return ("mov", "mkv", "mp4") if is_nova_2 else ("mov", "mkv", "mp4", "webm")
    return ("png", "jpeg", "gif") if is_nova_2 else ("png", "jpeg", "gif", "webp")
