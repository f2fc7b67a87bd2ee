#!/bin/bash
# The list of mutations is true: each names a line of src/homa that is there
# exactly once. Run by ctest; needs nothing built. What the mutations tell is
# found out by `make mutate`.
set -euo pipefail
source_dir=${TEST_SOURCE_DIR:?}

# The check itself must be able to fail.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cat >"$scratch/list" <<'LIST'
mutation  no-such-function
file      src/homa/input.c
in        take_nothing
what      Nothing.
old       x = 1;

mutation  no-such-line
file      src/homa/input.c
in        take_grant
what      Nothing.
old       x = 1;

mutation  many-lines
file      src/homa/heap.c
what      Nothing.
old       {
LIST
if found=$(MUTATE_LIST="$scratch/list" "$source_dir/tools/mutate" --check 2>&1); then
    echo "A list that does not fit passes."
    exit 1
fi
for sentence in 'there is no take_nothing() in src/homa/input.c' \
    'take_grant() in src/homa/input.c has no line that reads: x = 1;' \
    'src/homa/heap.c has [0-9]* lines that read: {'; do
    if ! grep -q "$sentence" <<<"$found"; then
        printf 'The check does not say: %s\nIt says:\n%s\n' "$sentence" "$found"
        exit 1
    fi
done

cat >"$scratch/list" <<'LIST'
mutation  without-line
file      src/homa/input.c
what      Nothing.

mutation  without-line
file      src/base/hash.c
what      Nothing.
old       x = 1;
new       x = 1;
new       x = 2;
LIST
found=$(MUTATE_LIST="$scratch/list" "$source_dir/tools/mutate" --check 2>&1) || true
for sentence in 'without-line has no line "old"' 'there are two of the name without-line' \
    'src/base/hash.c is not a source of src/homa' 'without-line has two lines "new"'; do
    if ! grep -qF "$sentence" <<<"$found"; then
        printf 'The check does not say: %s\nIt says:\n%s\n' "$sentence" "$found"
        exit 1
    fi
done

"$source_dir/tools/mutate" --check
