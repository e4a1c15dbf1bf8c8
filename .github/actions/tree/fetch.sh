#!/usr/bin/env bash
# Fetch commits of this repository, and the one below them, into the bare repository linux/.
#
# They are RANGE (BASE..HEAD), or the PULL_COMMITS up to PULL_HEAD. What is below a pull request is
# in the branch that it is for. That commit gets a branch, so khoci builds it without a sandbox;
# what is above gets none. Jobs that only have to know which commit it is take linux-base.pack.
set -euo pipefail
url=$GITHUB_SERVER_URL/$GITHUB_REPOSITORY
most=200 # commits; khoci takes no longer series either

fetch() { # NAME REF DEPTH
    git -C linux fetch --quiet --depth "$3" "$url" "+$2:refs/khoci/$1"
}

git init --quiet --bare linux
if [ -n "$RANGE" ]; then
    fetch head "${RANGE##*..}" "$most"
    fetch base "${RANGE%%..*}" 1
else
    fetch head "$PULL_HEAD" "$((PULL_COMMITS + 1))"
    git -C linux update-ref refs/khoci/base "refs/khoci/head~$PULL_COMMITS"
fi
git -C linux update-ref refs/heads/base refs/khoci/base
git -C linux rev-parse refs/khoci/base "refs/khoci/base^{tree}" \
    | git -C linux pack-objects --quiet --stdout > linux-base.pack
echo "range=refs/khoci/base..refs/khoci/head" >> "$GITHUB_OUTPUT"
