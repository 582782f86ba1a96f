#!/bin/bash
# import_config from outside: the config goes to standard output or a file, all that is said to standard error.
set -uo pipefail
cd "${TEST_TMPDIR}"
readonly program="${TEST_SRCDIR}/${TEST_WORKSPACE}/tools/import_config"
readonly configs="${TEST_SRCDIR}/${TEST_WORKSPACE}/tools/reference_config/testdata/configs"
readonly recipe="${configs}/vae_64x64x64_height_down2_vs02_dense_residual"
export BUILD_WORKING_DIRECTORY="${PWD}"
failures=0

# expect CODE ARGUMENT...: the program ends so; out and said have what it printed.
expect() {
  local code="$1" got=0
  shift
  "${program}" "$@" >out 2>said || got=$?
  [[ "${got}" == "${code}" ]] || fail "$*: exit code ${got} instead of ${code}"
}
fail() {
  echo "FAILED: $1"
  cat said
  failures=$((failures + 1))
}
says() { grep -qF -- "$1" said || fail "does not say: $1"; }
says_not() { ! grep -qF -- "$1" said || fail "says: $1"; }

expect 0 "${recipe}.yaml"
cmp out "${recipe}.textproto" || fail "standard output is not the config"
says "keys not carried over that change nothing that is computed: 51 (--verbose lists them)"
says_not "resolution = 128"
says_not "wrote"
[[ "$(wc -l <said)" == 2 ]] || fail "more than a remark and a summary"

expect 0 "${recipe}.yaml" --verbose --output vae.textproto
[[ ! -s out ]] || fail "the config is on standard output, too"
cmp vae.textproto "${recipe}.textproto" || fail "the file is not the config"
says "keys not carried over that change nothing that is computed: 51:"
says "  resolution = 128 ("
[[ "$(tail -n 1 said)" == "wrote ${PWD}/vae.textproto" ]] || fail "does not end with what it wrote"

printf 'PK\003\004\000\000' >model.ckpt
expect 2 model.ckpt
says "model.ckpt is not a text config: byte 2 is 0x03"

expect 0 "${recipe}.yaml" --strict
expect 2 "${recipe}.yaml" --strict --set kl_weigth=1 --output strict.textproto
says "kl_weigth = 1 (--set kl_weigth=1): no key that Cubist knows; did you mean kl_weight?"
says_not "wrote"
[[ ! -e strict.textproto ]] || fail "--strict leaves a file"
expect 0 "${recipe}.yaml" --set kl_weigth=1
[[ "$(sed -n 2p said)" == "  kl_weigth = 1"* ]] || fail "what matters does not come first"

expect 6 "${recipe}.yaml" --output /no_such_folder/vae.textproto
says_not "wrote"
exit "$((failures > 0))"
