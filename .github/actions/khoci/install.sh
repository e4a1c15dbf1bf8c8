#!/usr/bin/env bash
# Install the khoci that this action is of into khoci-venv/, and what it needs of the machine.
# The later steps of the job find it, a cache that is the job's own, and the store of kernels that
# artifacts carry from job to job.
set -euo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
venv=$GITHUB_WORKSPACE/khoci-venv

if ! { python3 -m ensurepip --version && git --version; } > /dev/null 2>&1; then
    apt-get update
    apt-get install -y --no-install-recommends ca-certificates git python3-venv
fi
if ! "$venv/bin/khoci" --version 2> /dev/null; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet "$source"
    "$venv/bin/khoci" --version
fi
"$venv/bin/khoci" doctor --install
echo "$venv/bin" >> "$GITHUB_PATH"
{
    echo "KHOCI_CACHE=$GITHUB_WORKSPACE/khoci-cache"
    echo "KHOCI_STORE=$GITHUB_WORKSPACE/khoci-store"
} >> "$GITHUB_ENV"
