#!/usr/bin/env bash
# Prepares a bare Debian or Ubuntu server for the stack. See --help.
# shellcheck disable=SC2317 # the steps' functions are called by name
set -euo pipefail
umask 022

readonly KEY_BITS=2048              # RSA keys below this are refused
readonly SWAP_BELOW_KB=$((2 << 20)) # memory below which swap is made: a build and a database need 2 GiB
readonly SWAP_MB=2048
readonly STATE=/var/lib/setup-server # marks files that are written but not yet loaded by their service
readonly LOG=/var/log/setup-server.log
readonly SSHD_FILE=/etc/ssh/sshd_config.d/00-setup-server.conf
readonly DAEMON_FILE=/etc/docker/daemon.json
readonly PROBE=setup-server-probe # comment of the temporary key that tests the login

usage() {
  cat <<'END'
usage: setup-server.sh [--user NAME] [--key-file FILE] [--ssh-port PORT] [--ports "PORT..."]
                       [--docker-repository] [--check]

Runs as root on the new server; the deploy user's public key comes on standard input or from a file. From your machine:

  cat scripts/setup-server.sh ~/.ssh/hockey_deploy.pub | ssh root@SERVER bash -s --

  --user NAME           the deploy user, made if missing [deploy]
  --key-file FILE       its public key; needed unless it has one on the server already
  --ssh-port PORT       where sshd is to listen [where it listens now]
  --ports "PORT..."     what the firewall lets in beside sshd [22 80 443 5000]; add /udp for UDP
  --docker-repository   Docker Engine from Docker's own package repository, not the system's
  --check               change nothing, say what would change

Each step reports ok, changed, would change or skipped. You may run it again at any time, even after an interruption.
Afterwards root and passwords cannot log in: only the deploy user can, with the key. It has sudo without a password,
which grants nothing new, as its group docker equals root.

Exit status: 0 all is as it should be; 1 something would change (--check) or went wrong; 2 wrong usage or not a
machine for this script, and nothing was changed.
END
}

# Both print one sentence and exit: `refuse` before any change, `fail` afterwards.
refuse() {
  echo "setup-server: $*" >&2
  exit 2
}
fail() {
  echo "setup-server: $*" >&2
  exit 1
}

### Arguments and machine

parse() {
  user=deploy key_file="" ssh_port="" ports="22 80 443 5000" docker_repository=false check=false
  while (($# > 0)); do
    case $1 in
      --user | --key-file | --ssh-port | --ports)
        [[ -n ${2-} ]] || refuse "$1 needs a value; see --help."
        case $1 in
          --user) user=$2 ;;
          --key-file) key_file=$2 ;;
          --ssh-port) ssh_port=$2 ;;
          --ports) ports=$2 ;;
        esac
        shift
        ;;
      --docker-repository) docker_repository=true ;;
      --check) check=true ;;
      --help)
        usage
        exit 0
        ;;
      *) refuse "$1 is not an option; see --help." ;;
    esac
    shift
  done
  [[ $user =~ ^[a-z_][a-z0-9_-]{0,31}$ && $user != root ]] ||
    refuse "--user $user cannot be the deploy user; give a name of lower-case letters other than root."
  [[ -z $ssh_port ]] || is_port "$ssh_port" || refuse "--ssh-port $ssh_port is not a port; give a number from 1 to 65535."
  local one
  for one in $ports; do
    is_port "${one%/udp}" || refuse "--ports has \"$one\", which is not a port; give numbers from 1 to 65535, with /udp where needed."
  done
}

is_port() { [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] && (($1 <= 65535)); }

# shellcheck source=/dev/null
os_release() { (. /etc/os-release 2>/dev/null && echo "${!1-}") || echo unknown; }

check_machine() {
  ((EUID == 0)) || refuse "this must run as root; log in as root or use sudo."
  system="$(os_release ID) $(os_release VERSION_ID)"
  case $system in
    "debian 12" | "debian 13" | "ubuntu 22.04" | "ubuntu 24.04") ;;
    *) refuse "this is $system, and only Debian 12 or 13 and Ubuntu 22.04 or 24.04 are supported; set the server up with one of them." ;;
  esac
  [[ -d /run/systemd/system ]] || refuse "systemd does not run here, and the services need it; use an ordinary server."
  [[ -x /usr/sbin/sshd ]] || refuse "sshd is not installed, and the stack comes over SSH; install it with: apt-get install openssh-server"
  [[ ! -d /snap/docker ]] || refuse "Docker is installed as a snap, which keeps its settings elsewhere; remove it with: snap remove docker"
  if $docker_repository && [[ -z $(engine_packages) ]]; then docker_repository=false; fi
  if $docker_repository; then
    # Bash connects itself: a bare server has no curl.
    timeout 5 bash -c '</dev/tcp/download.docker.com/443' 2>/dev/null ||
      refuse "Docker's repository, download.docker.com, cannot be reached; allow it, or leave --docker-repository out for the system's package."
  fi
}

# Sets `key` to "TYPE BASE64"; leaves it empty if none is given and the user has one already.
read_key() {
  local text="" kind blob bits
  if [[ -n $key_file ]]; then
    [[ -r $key_file ]] || refuse "the key file $key_file cannot be read; correct --key-file."
    text=$(<"$key_file")
  elif [[ ! -t 0 ]]; then
    text=$(timeout 10 cat) || true # in case standard input is never closed
  fi
  text=$(sed 's/\r$//; /^[[:space:]]*\(#.*\)\?$/d' <<<"$text")
  [[ $text != *"PRIVATE KEY"* ]] || refuse "that is a private key, which stays on your machine; give the public one, whose file ends in .pub."
  if [[ -z $text ]]; then
    if authorized_keys | grep -q .; then return 0; fi
    refuse "$user has no key on this server yet; give the public key on standard input or with --key-file."
  fi
  read -r kind blob _ <<<"$text"
  if [[ $text == *$'\n'* || ! $kind =~ ^(sk-)?(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521))(@openssh.com)?$ ]] ||
    ! bits=$(ssh-keygen -l -f /dev/stdin <<<"$kind $blob" 2>/dev/null); then
    refuse "the key is not one public key as OpenSSH writes it; give one line like: ssh-ed25519 AAAA… name"
  fi
  [[ $kind != ssh-rsa ]] || ((${bits%% *} >= KEY_BITS)) ||
    refuse "the RSA key has only ${bits%% *} bits, which is weak; make a new key with: ssh-keygen -t ed25519"
  key="$kind $blob"
}

home() {
  local entry
  entry=$(getent passwd "$user") || entry=:::::/home/$user
  cut -d: -f6 <<<"$entry"
}

# The keys of the user's account, one "TYPE BASE64" on each line, without the temporary key and keys with options.
authorized_keys() {
  local directory
  directory=$(home)
  [[ -z $directory || ! -f $directory/.ssh/authorized_keys ]] ||
    awk -v probe="$PROBE" '$1 ~ /^(sk-)?(ssh|ecdsa)-/ && $3 != probe { print $1, $2 }' "$directory/.ssh/authorized_keys"
}

### Steps

# step WHAT IS_SO MAKE_SO [DETAIL]: if IS_SO fails, calls MAKE_SO, then IS_SO again.
changes=0
step() {
  doing=$1
  if "$2"; then
    say ok "$1" "${4-}"
    return 0
  fi
  changes=$((changes + 1))
  if $check; then
    say "would change" "$1" "${4-}"
    return 0
  fi
  "$3"
  "$2" || fail "$1: it is done and still not as it should be; see $LOG and run this again."
  say changed "$1" "${4-}"
}

say() { printf '%-12s  %-18s %s\n' "$1" "$2" "${3-}"; }

# put FILE MODE TEXT: writes the file atomically.
put() {
  local new
  mkdir -p "$(dirname "$1")"
  new=$(mktemp "$1.XXXXXX")
  printf '%s\n' "$3" >"$new"
  chmod "$2" "$new"
  mv -f "$new" "$1"
}

holds() { [[ -f $1 && $(<"$1") == "$2" ]]; }

# Marks a file that is written but not yet loaded by its service, in case this script is killed in between.
begin() { mkdir -p "$STATE" && : >"$STATE/$1"; }
done_with() { rm -f "$STATE/$1"; }
unfinished() { [[ -e $STATE/$1 ]]; }

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

logged() {
  local began
  began=$(wc -c 2>/dev/null <"$LOG" || echo 0)
  "$@" >>"$LOG" 2>&1 </dev/null ||
    fail "$doing: $1 failed ($(tail -c "+$((began + 1))" "$LOG" | grep . | grep -E '^E:|rror|' | tail -n 1)); see $LOG, correct it and run this again."
}

### Packages

engine_packages() {
  installed docker-ce && return 0
  # Leaves an engine alone that no system package installed.
  if command -v dockerd >/dev/null && ! dpkg-query -W docker.io >/dev/null 2>&1; then return 0; fi
  if $docker_repository; then
    echo docker-ce docker-ce-cli containerd.io docker-buildx-plugin
    return 0
  fi
  case $system in
    "debian 12") echo docker.io ;; # with the client and BuildKit in it
    "debian 13") echo docker.io docker-cli docker-buildx ;;
    *) echo docker.io docker-buildx ;;
  esac
}

packages() {
  # apparmor: without its parser, Docker cannot start containers on a kernel with AppArmor enabled.
  echo apparmor ca-certificates cron git iptables jq sudo ufw unattended-upgrades
  engine_packages
  has_time_service || echo systemd-timesyncd
}

# Any of them is enough; only one can be installed at a time.
has_time_service() { installed chrony || installed ntpsec || installed ntp || installed openntpd; }

packages_present() {
  local one
  [[ -z $(dpkg --audit) ]] || return 1
  for one in $(packages); do installed "$one" || return 1; done
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  local wait=(-o DPkg::Lock::Timeout=300) wanted
  # Completes an interrupted installation, once a dpkg that it may have left running has ended.
  wait_for 300 dpkg_free || true
  logged apt-get "${wait[@]}" update
  read -r -a wanted <<<"$(dpkg-query -W -f '${Package} ${db:Status-Eflag}\n' | awk '$2 == "reinstreq" { print $1 }' | tr '\n' ' ')"
  ((${#wanted[@]} == 0)) || logged apt-get "${wait[@]}" -y install --reinstall "${wanted[@]}"
  logged dpkg --configure -a --force-confold
  logged apt-get "${wait[@]}" -y --fix-broken install
  if $docker_repository; then add_docker_repository; fi
  read -r -a wanted <<<"$(packages | tr '\n' ' ')"
  logged apt-get "${wait[@]}" -o Dpkg::Options::=--force-confold -y --no-install-recommends install "${wanted[@]}"
}

# dpkg does not wait for its lock, unlike apt-get.
dpkg_free() {
  local answer
  answer=$(LC_ALL=C dpkg --configure -a --force-confold 2>&1 </dev/null) || [[ $answer != *"locked by another process"* ]]
}

add_docker_repository() {
  local name=${system%% *}
  logged apt-get "${wait[@]}" -y --no-install-recommends install ca-certificates curl
  install -d -m 0755 /etc/apt/keyrings
  logged curl -fsSL --max-time 30 -o /etc/apt/keyrings/docker.asc "https://download.docker.com/linux/$name/gpg"
  put /etc/apt/sources.list.d/docker.list 0644 \
    "deb [arch=$(dpkg --print-architecture) signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.com/linux/$name $(os_release VERSION_CODENAME) stable"
  logged apt-get "${wait[@]}" update
}

### The deploy user

user_present() { [[ -d $(home) ]] && id -nG "$user" 2>/dev/null | tr ' ' '\n' | grep -qx docker; }

make_user() {
  id "$user" >/dev/null 2>&1 || logged useradd --create-home --shell /bin/bash "$user"
  [[ -d $(home) ]] || install -d -m 0700 -o "$user" -g "$(id -gn "$user")" "$(home)"
  usermod --append --groups docker "$user"
}

key_present() {
  local directory
  directory=$(home)/.ssh
  [[ $(stat -c '%U %a' "$directory" "$directory/authorized_keys" 2>/dev/null) == "$user 700"$'\n'"$user 600" ]] &&
    ! grep -q " $PROBE\$" "$directory/authorized_keys" &&
    authorized_keys | grep -qxF "${key:-$(authorized_keys | head -n 1)}"
}

# Runs as the user, so that links in its home cannot lead root elsewhere.
as_user() { runuser -u "$user" -- bash -euc "$@"; }

add_key() {
  chown "$user:" "$(home)/.ssh" "$(home)/.ssh/authorized_keys" 2>/dev/null || true
  drop_probe
  # shellcheck disable=SC2016 # expanded by the inner shell
  as_user 'umask 077; cd; mkdir -p .ssh; touch .ssh/authorized_keys; chmod 700 .ssh; chmod 600 .ssh/authorized_keys
    [[ -z $1 ]] || grep -qxF "$1" <<<"$2" || { [[ -z $(tail -c 1 .ssh/authorized_keys) ]] || echo; echo "$1 $3"; } >>.ssh/authorized_keys' \
    - "$key" "$(authorized_keys)" "$user"
}

sudo_present() { [[ $(stat -c %a "/etc/sudoers.d/$user" 2>/dev/null) == 440 ]] && holds "/etc/sudoers.d/$user" "$user ALL=(ALL) NOPASSWD: ALL"; }
allow_sudo() {
  put "/etc/sudoers.d/$user" 0440 "$user ALL=(ALL) NOPASSWD: ALL"
  logged visudo -c
}

directories_present() {
  [[ $(stat -c '%U %a' "$(home)/hockey" "$(home)/backups" 2>/dev/null) == "$user 755"$'\n'"$user 700" ]]
}
make_directories() {
  install -d -m 0755 -o "$user" -g "$(id -gn "$user")" "$(home)/hockey"
  install -d -m 0700 -o "$user" -g "$(id -gn "$user")" "$(home)/backups"
}

### Docker

# Rotates logs and keeps containers running while the engine restarts; all other settings stay as they are. Swarm refuses
# live-restore.
wanted_daemon() {
  local swarm
  swarm=$(docker info --format '{{.Swarm.LocalNodeState}}' 2>/dev/null) || true
  jq --arg swarm "$swarm" '. + {"log-driver": "local", "log-opts": {"max-size": "10m", "max-file": "5"}}
    | if $swarm == "active" then del(."live-restore") else ."live-restore" = true end' <<<"$1"
}

current_daemon() { if [[ -s $DAEMON_FILE ]]; then cat "$DAEMON_FILE"; else echo '{}'; fi; }

docker_configured() {
  local wanted
  ! unfinished docker && systemctl is-active --quiet docker && systemctl is-enabled --quiet docker &&
    wanted=$(wanted_daemon "$(current_daemon)" | jq -S .) && [[ -n $wanted && $(current_daemon | jq -S .) == "$wanted" ]]
} 2>/dev/null

configure_docker() {
  local before wanted
  before=$(current_daemon)
  wanted=$(wanted_daemon "$before" 2>/dev/null) ||
    fail "$DAEMON_FILE is not valid JSON, so its settings cannot be kept; correct or remove it and run this again."
  begin docker
  # Keep the first copy: it is the one that a person wrote.
  [[ ! -e $DAEMON_FILE || -e $DAEMON_FILE.before-setup ]] || cp -p "$DAEMON_FILE" "$DAEMON_FILE.before-setup"
  put "$DAEMON_FILE" 0644 "$wanted"
  systemctl enable --quiet docker
  # A reload enables live-restore, so that running containers survive the restart.
  if systemctl --quiet is-active docker; then
    systemctl reload docker
    wait_for 10 live_restore || true
  fi
  systemctl reset-failed docker 2>/dev/null || true
  if ! systemctl restart docker >>"$LOG" 2>&1; then
    put "$DAEMON_FILE" 0644 "$before"
    systemctl reset-failed docker
    systemctl restart docker >>"$LOG" 2>&1 || true
    fail "Docker does not start with log rotation in $DAEMON_FILE, which is as before again ($(docker_complaint)); correct that and run this again."
  fi
  done_with docker
}

live_restore() { [[ $(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null) == true ]]; }

docker_complaint() { journalctl -u docker -n 30 -o cat | grep -iE 'unable|fail|error|invalid' | grep -v systemd | tail -n 1; }

wait_for() {
  local seconds=$1 until
  shift
  until=$((SECONDS + seconds))
  until "$@"; do
    ((SECONDS < until)) || return 1
    sleep 0.2
  done
}

### Firewall

sshd_ports() {
  local now
  now=$(effective "$user" | awk '$1 == "port" { print $2 }')
  printf '%s\n' "${now:-22}" ${ssh_port:+"$ssh_port"}
}

# Prints each port once, as "PORT/tcp" or "PORT/udp".
with_protocol() { grep . | sed 's,^[0-9]*$,&/tcp,' | awk '!seen[$0]++'; }
public_ports() { tr ' ' '\n' <<<"$ports" | with_protocol; }
open_ports() { { sshd_ports && public_ports; } | with_protocol; }

# Docker translates the addresses of published ports before ufw sees them, so ufw alone would admit everything that any
# container publishes. Docker leaves the chain DOCKER-USER to the administrator: here, traffic from containers passes, and
# traffic from outside passes only to the wanted ports. ctorigdstport is the published port before translation.
docker_rules() {
  local one
  echo "# BEGIN setup-server"
  echo "*filter"
  echo ":DOCKER-USER - [0:0]"
  for one in docker0 docker_gwbridge br-+; do echo "-A DOCKER-USER -i $one -j RETURN"; done
  for one in $(public_ports); do
    echo "-A DOCKER-USER -p ${one#*/} -m conntrack --ctstate DNAT --ctorigdstport ${one%/*} -j RETURN"
  done
  echo "-A DOCKER-USER -m conntrack --ctstate DNAT -j DROP"
  echo "-A DOCKER-USER -j RETURN"
  echo "COMMIT"
  echo "# END setup-server"
}

our_rules() { sed -n '/^# BEGIN setup-server$/,/^# END setup-server$/p' "$1"; }
other_rules() { sed '/^# BEGIN setup-server$/,/^# END setup-server$/d' "$1"; }

# ufw refuses a sixth connection within 30 s to a "limited" port, and one update opens more.
ssh_limits() {
  local one
  ufw show added | sed -n 's/^ufw limit //p' | while read -r one; do
    case " $one " in *" OpenSSH "* | *" ssh "* | *" SSH "*) echo "$one" ;; *)
      if sshd_ports | grep -qxF "$(grep -oE '[0-9]+(/tcp)?$' <<<"$one" | cut -d/ -f1)"; then echo "$one"; fi
      ;;
    esac
  done
}

firewall_up() {
  local one file added
  command -v ufw >/dev/null && ! unfinished ufw && [[ $(ufw status) == "Status: active"* ]] || return 1
  ufw status verbose | grep -q '^Default: deny (incoming)' || return 1
  added=$(ufw show added)
  for one in $(open_ports); do grep -qxF "ufw allow $one" <<<"$added" || return 1; done
  [[ -z $(ssh_limits) ]] || return 1
  for file in /etc/ufw/after.rules /etc/ufw/after6.rules; do
    [[ $(our_rules "$file") == "$(docker_rules)" ]] || return 1
  done
  iptables -C DOCKER-USER -m conntrack --ctstate DNAT -j DROP
} 2>/dev/null

raise_firewall() {
  local one file
  begin ufw
  # Allow sshd's port before anything is denied.
  for one in $(open_ports); do logged ufw allow "$one"; done
  ssh_limits | while read -r one; do
    # shellcheck disable=SC2086 # the words of a rule
    logged ufw delete limit $one
  done
  for file in /etc/ufw/after.rules /etc/ufw/after6.rules; do
    put "$file" 0640 "$(other_rules "$file")"$'\n'"$(docker_rules)"
  done
  logged ufw default deny incoming
  logged ufw --force enable
  logged ufw reload
  done_with ufw
}

### sshd

# Only what differs from OpenSSH's defaults. sshd uses the first value that it finds, hence the name 00-.
wanted_sshd() {
  cat <<END
# Written by setup-server.sh.
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
PermitEmptyPasswords no
LoginGraceTime 30
# Docker over SSH and Pulumi open many connections at once: sshd's own 10:30:100, and more so the 10:30:60 of the
# usual hardening guides, drops some of them.
MaxStartups 60:30:120
MaxSessions 30
ClientAliveInterval 60
ClientAliveCountMax 3
X11Forwarding no
AllowAgentForwarding no
# Taken away from the defaults, so that a newer OpenSSH keeps its newer ones.
Ciphers -*-cbc
MACs -hmac-sha1*,hmac-md5*,umac-64*
KexAlgorithms -*-sha1
END
  wanted_port
}

# Keeps an earlier --ssh-port until another one is given.
wanted_port() {
  local kept
  kept=$(grep -E '^Port ' "$SSHD_FILE" 2>/dev/null) || kept=""
  if [[ -z $ssh_port ]]; then
    echo "$kept"
  elif [[ -n $kept || $(effective "$user" | awk '$1 == "port" { print $2 }') != "$ssh_port" ]]; then
    echo "Port $ssh_port"
  fi
}

# The effective settings for a user who connects from outside.
effective() { /usr/sbin/sshd -T -C "user=$1,host=outside,addr=192.0.2.1" 2>/dev/null; }

not_effective() {
  local who
  for who in root "$user"; do
    { grep -vxF -f <(effective "$who") || true; } <<'END' | sed "s/\$/ for $who/"
permitrootlogin no
passwordauthentication no
kbdinteractiveauthentication no
pubkeyauthentication yes
permitemptypasswords no
maxstartups 60:30:120
maxsessions 30
END
  done | head -n 1
}

sshd_hardened() { ! unfinished sshd && holds "$SSHD_FILE" "$(wanted_sshd)" && [[ -z $(not_effective) ]]; }

harden_sshd() {
  local reason kind=${key%% *}
  [[ $kind != ssh-rsa ]] || kind=rsa-sha2-512
  effective "$user" | grep '^pubkeyacceptedalgorithms ' | grep -qF "$kind" ||
    fail "sshd does not take keys of the type $kind, so passwords and root stay as they are; give another key, or correct PubkeyAcceptedAlgorithms in /etc/ssh."
  reason=$(deploy_login) ||
    fail "$user cannot log in with a key, do sudo and use Docker ($reason), so passwords and root stay as they are; correct that (sshd says why in: journalctl -u ssh) and run this again."
  begin sshd
  keep_sshd
  trap restore_sshd EXIT
  mkdir -p /run/sshd
  put "$SSHD_FILE" 0644 "$(wanted_sshd)"
  # A main file from before Debian 11 does not include drop-ins.
  grep -qiE '^[[:space:]]*Include[[:space:]]' /etc/ssh/sshd_config ||
    put /etc/ssh/sshd_config "$(stat -c %a /etc/ssh/sshd_config)" "Include /etc/ssh/sshd_config.d/*.conf"$'\n'"$(</etc/ssh/sshd_config)"
  reason=$(/usr/sbin/sshd -t 2>&1) || back_out "sshd does not accept it ($reason)"
  reason=$(not_effective)
  [[ -z $reason ]] || back_out "something else in /etc/ssh overrides \"$reason\""
  reload_sshd
  # While it reads its configuration again, sshd may drop a connection that it has accepted.
  reason=$(deploy_login) || { sleep 2 && reason=$(deploy_login); } || back_out "$user could no longer log in with a key ($reason)"
  trap - EXIT
  rm -rf "$STATE/sshd-before"
  done_with sshd
}

keep_sshd() {
  if [[ -d $STATE/sshd-before ]]; then return 0; fi # left by a run that was killed
  rm -rf "$STATE/sshd-before.new"
  mkdir "$STATE/sshd-before.new"
  cp -p /etc/ssh/sshd_config "$SSHD_FILE" "$STATE/sshd-before.new/" 2>/dev/null || true
  mv "$STATE/sshd-before.new" "$STATE/sshd-before"
}

restore_sshd() {
  cp -p "$STATE/sshd-before/sshd_config" /etc/ssh/sshd_config
  rm -f "$SSHD_FILE"
  [[ ! -e $STATE/sshd-before/${SSHD_FILE##*/} ]] || cp -p "$STATE/sshd-before/${SSHD_FILE##*/}" "$SSHD_FILE"
  reload_sshd
  rm -rf "$STATE/sshd-before"
  done_with sshd
}

# Ends the script; the EXIT trap restores the files.
back_out() { fail "sshd is as it was before, because $1; correct that and run this again."; }

# Never restarts sshd, which would end open sessions. If systemd listens for sshd (Ubuntu 24.04), its socket takes the new port.
reload_sshd() {
  if systemctl is-active --quiet ssh.socket; then
    systemctl daemon-reload
    systemctl restart ssh.socket
  fi
  if systemctl is-active --quiet ssh.service; then systemctl reload ssh.service; fi
}

# Logs in as the deploy user with a temporary key that only this machine may use, and checks sudo and Docker. This proves
# that sshd accepts keys from this user's file; whether you still hold the private half of the other keys there cannot be
# tested from here. Call it in a subshell, whose exit removes the key.
deploy_login() {
  local address port probe=/run/setup-server answer host
  trap drop_probe EXIT
  read -r address port < <(effective "$user" | sed -nE 's/^listenaddress \[?([^]]*)\]?:([0-9]+)$/\1 \2/p' | LC_ALL=C sort | head -n 1)
  case $address in 0.0.0.0) address=127.0.0.1 ;; ::) address=::1 ;; esac
  rm -rf "$probe"
  mkdir -m 0700 "$probe"
  ssh-keygen -q -t ed25519 -N "" -C "$PROBE" -f "$probe/key"
  # shellcheck disable=SC2016 # expanded by the inner shell
  as_user 'cd; [[ -z $(tail -c 1 .ssh/authorized_keys) ]] || echo >>.ssh/authorized_keys; echo "$1" >>.ssh/authorized_keys' - \
    "restrict,from=\"$address\",expiry-time=\"$(date -d '+5 minutes' +%Y%m%d%H%M)\" $(<"$probe/key.pub")"
  host=$(host_key)
  answer=$(timeout 60 ssh -F none -i "$probe/key" -p "$port" -o BatchMode=yes -o IdentitiesOnly=yes -o ConnectionAttempts=5 \
    -o ConnectTimeout=10 -o LogLevel=ERROR -o PreferredAuthentications=publickey -o ControlPath=none \
    -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null \
    -o HostKeyAlgorithms="${host%% *}" -o KnownHostsCommand="/bin/echo %H $host" \
    -l "$user" "$address" 'sudo -n true && docker version --format "{{.Server.Version}}"' 2>&1 </dev/null) && return 0
  tail -n 1 <<<"$answer"
  return 1
}

drop_probe() {
  rm -rf /run/setup-server
  # shellcheck disable=SC2016 # expanded by the inner shell
  as_user 'cd; [[ ! -f .ssh/authorized_keys ]] || sed -i "/ $1\$/d" .ssh/authorized_keys' - "$PROBE"
}

host_key() {
  local kind
  for kind in ecdsa ed25519 rsa; do
    if [[ -f /etc/ssh/ssh_host_${kind}_key.pub ]]; then
      cut -d ' ' -f 1,2 "/etc/ssh/ssh_host_${kind}_key.pub"
      return 0
    fi
  done
  return 1
}

### The rest

# An administrator updates Docker: even with live-restore, an update of the engine is noticeable.
UPDATES='// Written by setup-server.sh.
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::Package-Blacklist { "docker"; "containerd"; "runc"; };'
readonly UPDATES UPDATES_FILE=/etc/apt/apt.conf.d/90setup-server

updates_on() {
  local timer
  for timer in apt-daily.timer apt-daily-upgrade.timer; do
    systemctl is-enabled --quiet "$timer" && systemctl is-active --quiet "$timer" || return 1
  done
  holds "$UPDATES_FILE" "$UPDATES"
} 2>/dev/null
switch_updates_on() {
  put "$UPDATES_FILE" 0644 "$UPDATES"
  systemctl unmask --quiet apt-daily.timer apt-daily-upgrade.timer
  systemctl enable --quiet --now apt-daily.timer apt-daily-upgrade.timer
}

JOURNAL='# Written by setup-server.sh.
[Journal]
SystemMaxUse=500M
MaxRetentionSec=1month'
readonly JOURNAL JOURNAL_FILE=/etc/systemd/journald.conf.d/00-setup-server.conf

journal_limited() { ! unfinished journald && holds "$JOURNAL_FILE" "$JOURNAL"; }
limit_journal() {
  begin journald
  put "$JOURNAL_FILE" 0644 "$JOURNAL"
  systemctl restart systemd-journald
  done_with journald
}

in_container() { systemd-detect-virt --quiet --container; }

memory_kb() { awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo; }
swap_enough() { (($(memory_kb) >= SWAP_BELOW_KB)) || { [[ -n $(swapon --show --noheadings) ]] && { [[ ! -e /swapfile ]] || grep -q '^/swapfile ' /etc/fstab; }; }; }
make_swap() {
  if ! swapon --show=NAME --noheadings | grep -qx /swapfile; then
    rm -f /swapfile
    # Written, not just allocated: a sparse file cannot be swap.
    (umask 077 && logged dd if=/dev/zero of=/swapfile bs=1M count="$SWAP_MB")
    logged mkswap /swapfile
    logged swapon /swapfile
  fi
  grep -q '^/swapfile ' /etc/fstab || put /etc/fstab 0644 "$(</etc/fstab)"$'\n'"/swapfile none swap sw 0 0"
}

swap() {
  local memory="$(($(memory_kb) / 1024)) MB of memory"
  if swap_enough; then
    step swap swap_enough make_swap "not needed, or there: $memory"
  elif in_container; then
    say skipped swap "$memory is little, but in a container swap is the host's"
  elif (($(df --output=avail -m / | tail -n 1) < 2 * SWAP_MB)); then
    say skipped swap "$memory is little, but the disk has no room for $SWAP_MB MB of swap"
  else
    step swap swap_enough make_swap "$SWAP_MB MB in /swapfile: $memory"
  fi
}

time_synced() {
  has_time_service || { installed systemd-timesyncd && systemctl is-enabled --quiet systemd-timesyncd &&
    { in_container || systemctl is-active --quiet systemd-timesyncd; }; }
}
sync_time() { systemctl enable --quiet --now systemd-timesyncd; }

timezone() { readlink -f /etc/localtime | sed 's,.*/zoneinfo/,,'; }

closing() {
  local lines
  echo
  if ((changes == 0)); then
    echo "All is as it should be; nothing was changed."
  elif $check; then
    echo "Steps that would change something: $changes; nothing was changed."
    exit 1
  else
    echo "Steps that changed something: $changes."
  fi
  lines=$(sshd_ports | head -n 1)
  echo "Next, on your own machine, in the project's directory:"
  [[ $user == deploy ]] || echo "  pulumi config set --path server.user $user"
  [[ $lines == 22 ]] || echo "  pulumi config set --path server.port $lines"
  echo "  pulumi config set --path server.hostKey \"$(host_key)\""
}

main() {
  key="" doing=start
  parse "$@"
  check_machine
  read_key
  if ! $check; then
    set -E
    # Inside a subshell, the caller reports the failure.
    trap '((BASH_SUBSHELL > 0)) || fail "$doing: \"$BASH_COMMAND\" failed; see $LOG, correct it and run this again."' ERR
    umask 077 && touch "$LOG" && umask 022
    exec 9>/run/setup-server.lock
    # Children of a killed run, such as apt-get, hold the lock too.
    flock -w 300 9 || refuse "another setup-server.sh runs here; wait until it ends."
  fi

  swap
  step packages packages_present install_packages "$(packages | xargs)"
  step "deploy user" user_present make_user "$user, group docker"
  step "deploy key" key_present add_key "${key:0:24}${key:+…}"
  step sudo sudo_present allow_sudo "$user, without a password: the group docker is root already"
  step directories directories_present make_directories "$(home)/hockey, $(home)/backups"
  step docker docker_configured configure_docker "logs rotate, live-restore"
  step firewall firewall_up raise_firewall "open: $(open_ports | xargs), also for what Docker publishes past ufw"
  step sshd sshd_hardened harden_sshd "keys only, no root"
  step updates updates_on switch_updates_on "security updates daily, not Docker's"
  step "time sync" time_synced sync_time "$(if in_container; then echo "in a container the clock is the host's"; fi)"
  step journal journal_limited limit_journal "500 MB, a month"
  say ok "time zone" "$(timezone), left as it is"
  closing
}

# With `bash -s`, the script comes on standard input and the key follows this block. Bash reads the whole block, including
# `exit`, before it runs any of it.
{
  main "$@"
  exit
}
