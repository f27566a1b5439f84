#!/usr/bin/env bash
# ready.sh LANGUAGE: succeeds where the client in that language can run; else it
# prints the packages of Debian that are missing.
set -euo pipefail

# No pyenv or gem of the user's is asked: these are what Debian's packages bring.
quiet() { "$@" >/dev/null 2>&1; }

case $1 in
  c)
    packages="gcc libc6-dev libhiredis-dev"
    quiet cc -fsyntax-only -include hiredis/hiredis.h -x c /dev/null || missing=1
    ;;
  go)
    packages="golang"
    quiet go version || missing=1
    ;;
  php)
    packages="php-cli php-redis"
    quiet php -r 'exit(class_exists("RedisCluster") ? 0 : 1);' || missing=1
    ;;
  python)
    packages="python3 python3-redis"
    quiet /usr/bin/python3 -c 'import redis.cluster' || missing=1
    ;;
  ruby)
    packages="ruby ruby-redis"
    quiet ruby -e 'require "redis"; exit Redis::VERSION.start_with?("4.")' || missing=1
    ;;
  *)
    echo "unknown language '$1': c, go, php, python or ruby" >&2
    exit 2
    ;;
esac
if [[ -n ${missing:-} ]]; then
  echo "$packages"
  exit 1
fi
