#!/bin/bash
# bazelw against fake dpkg-query, apt-get, sudo, id and bazel: what it installs, refuses and hands on.
set -uo pipefail

readonly source_tree="${TEST_SRCDIR}/${TEST_WORKSPACE}"
readonly work="${TEST_TMPDIR}/work"
failures=0

fail() {
  echo "FAILED: $1"
  failures=$((failures + 1))
}

# A program of that name in the folder that is all of PATH.
fake() {
  printf '#!/bin/bash\n%s\n' "$2" >"${work}/bin/$1"
  chmod +x "${work}/bin/$1"
}

# A fresh checkout with a lock of two packages; both are installed, the user is root. A further set has one that is not.
prepare() {
  rm -rf "${work}"
  mkdir -p "${work}/bin" "${work}/checkout/third_party/debian"
  cp "${source_tree}/bazelw" "${work}/checkout/bazelw"
  printf '# a comment\nlibone-dev 1:2.3-4+deb12u1\ntwo 20220101\n' >"${work}/checkout/third_party/debian/packages.lock"
  printf '# more\nthree-wlm 22.05-1\n' >"${work}/checkout/third_party/debian/extra_packages.lock"
  printf 'libone-dev 1:2.3-4+deb12u1 installed\ntwo 20220101 installed\n' >"${work}/installed"
  for program in cat env readlink dirname grep cp; do ln -s "$(type -P "${program}")" "${work}/bin/${program}"; done
  fake dpkg-query "cat '${work}/installed'"
  fake id 'echo 0'
  fake bazel 'printf "<%s>" bazel "$@"'
  # Installs what it is told to, in the tested version.
  fake apt-get "echo \"\$*\" >>'${work}/apt_calls'
if [[ \"\$*\" == *' install '* ]]; then
  printf 'libone-dev 1:2.3-4+deb12u1 installed\ntwo 20220101 installed\nthree-wlm 22.05-1 installed\n' >'${work}/installed'
fi"
}

# Runs bazelw with these arguments; leaves stdout, stderr and code.
run() {
  stdout="$(cd "${work}" && PATH="${work}/bin" CI="${ci:-}" CUBIST_PACKAGES="${packages:-}" /bin/bash checkout/bazelw "$@" 2>"${work}/stderr")"
  code=$?
  stderr="$(<"${work}/stderr")"
}

expect() { # code, stdout
  [[ "${code}" == "$1" ]] || fail "${name}: exit code ${code}, expected $1: ${stderr}"
  [[ "${stdout}" == "$2" ]] || fail "${name}: printed '${stdout}', expected '$2'"
}

name="nothing missing: arguments are handed on unchanged"
prepare
run run //a:b -- 'one two' ''
expect 0 '<bazel><run><//a:b><--><one two><>'
[[ -z "${stderr}" && ! -e "${work}/apt_calls" ]] || fail "${name}: ${stderr}"

name="missing, as root"
prepare
printf 'libone-dev 1:2.3-4+deb12u1 installed\ntwo 20220101 config-files\n' >"${work}/installed"
run build //...
expect 0 '<bazel><build><//...>'
grep -q 'install -y --no-install-recommends two$' "${work}/apt_calls" || fail "${name}: $(<"${work}/apt_calls")"
[[ "${stderr}" == *'installing missing Debian packages: two'* ]] || fail "${name}: ${stderr}"

name="missing, through sudo"
prepare
: >"${work}/installed"
fake id 'echo 1000'
fake sudo "echo sudo >>'${work}/sudo_calls'; exec \"\$@\""
run build //...
expect 0 '<bazel><build><//...>'
[[ "$(<"${work}/sudo_calls")" == $'sudo\nsudo' ]] || fail "${name}: sudo was not used for both steps"
[[ "${stderr}" == *'with sudo: libone-dev two'* ]] || fail "${name}: ${stderr}"

name="missing, neither root nor sudo"
prepare
: >"${work}/installed"
fake id 'echo 1000'
run build //...
expect 2 ''
[[ "${stderr}" == *'libone-dev two'* && ! -e "${work}/apt_calls" ]] || fail "${name}: ${stderr}"

name="missing, no apt-get"
prepare
: >"${work}/installed"
rm "${work}/bin/apt-get"
run build //...
expect 2 ''
[[ "${stderr}" == *'libone-dev two'* ]] || fail "${name}: ${stderr}"

name="apt-get fails"
prepare
: >"${work}/installed"
fake apt-get 'exit 100'
run build //...
expect 2 ''
[[ "${stderr}" == *'apt-get install libone-dev two'* ]] || fail "${name}: ${stderr}"

name="a further set of packages"
prepare
packages=extra run test //...
expect 0 '<bazel><test><//...>'
grep -q 'install -y --no-install-recommends three-wlm$' "${work}/apt_calls" || fail "${name}: $(<"${work}/apt_calls")"
printf 'libone-dev 1:2.3-4+deb12u1 installed\ntwo 20220101 installed\nthree-wlm 23.11-1 installed\n' >"${work}/installed"
packages=' extra ' ci=true run test //...
expect 2 ''
[[ "${stderr}" == *'three-wlm is 23.11-1, tested with 22.05-1'*'packages.lock '*'/extra_packages.lock' ]] ||
  fail "${name}: ${stderr}"

name="no such set of packages"
prepare
packages='extra none' run test //...
expect 2 ''
[[ "${stderr}" == *"CUBIST_PACKAGES: 'none'"* && ! -e "${work}/apt_calls" ]] || fail "${name}: ${stderr}"

name="another Debian revision is fine"
prepare
printf 'libone-dev 1:2.3-9 installed\ntwo 20220101 installed\n' >"${work}/installed"
ci=true run test //...
expect 0 '<bazel><test><--config=ci><//...>'
[[ -z "${stderr}" ]] || fail "${name}: ${stderr}"

name="another upstream version is a warning"
prepare
printf 'libone-dev 1:2.4-4 installed\ntwo 20220101 installed\n' >"${work}/installed"
run test //...
expect 0 '<bazel><test><//...>'
[[ "${stderr}" == *'libone-dev is 1:2.4-4, tested with 1:2.3-4+deb12u1'* ]] || fail "${name}: ${stderr}"

name="another upstream version is an error in continuous integration"
ci=true run test //...
expect 2 ''

name="continuous integration: after the command word, not in a program's arguments"
prepare
ci=true run --output_base=/x run //a:b -- test
expect 0 '<bazel><--output_base=/x><run><--config=ci><//a:b><--><test>'
ci=true run info
expect 0 '<bazel><info>'
ci=true run
expect 0 '<bazel>'

name="the locks of this checkout"
while read -r package version; do
  if [[ "${package}" == \#* ]]; then continue; fi
  [[ "${package}" =~ ^[a-z0-9][a-z0-9.+-]+$ && "${version}" =~ ^[0-9][A-Za-z0-9.:+~-]*$ ]] ||
    fail "${name}: line '${package} ${version}'"
done < <(cat "${source_tree}"/third_party/debian/{packages,slurm_packages}.lock)
# Every package that a repository in WORKSPACE looks at is installed by bazelw.
for package in $(grep -oE '"[a-z0-9+.-]+", \[("[a-z0-9.+-]+"(, )?)+\]' "${source_tree}/WORKSPACE" |
  sed 's/^"[^"]*", //' | grep -oE '[a-z0-9][a-z0-9.+-]+'); do
  grep -q "^${package} " "${source_tree}/third_party/debian/packages.lock" || fail "${name}: lacks ${package}"
  checked=$((${checked:-0} + 1))
done
((${checked:-0} >= 10)) || fail "${name}: found only ${checked:-0} packages in WORKSPACE"

((failures == 0)) && echo "all passed"
exit "$((failures > 0))"
