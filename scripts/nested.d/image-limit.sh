# Bytes that the image may have as a file: what a reader has to trust, and what a host loads at each boot.
# shellcheck shell=bash disable=SC2034
LIMIT=$((476 * 1024))
