#!/usr/bin/env ruby
# frozen_string_literal: true

# AiKv from redis-rb 4.8, with every family of commands, while a master dies.
#
#     client.rb HOST:PORT,... [FAMILY ...]
#
# See README.md of this folder for what is proved, and connect for what to copy.
require 'redis'

RUN = "ruby:#{Time.now.to_i}" # so that a second run has keys of its own
PATIENCE = 60 # seconds, for one write to succeed while a master is replaced

# A client that survives the loss of any one node.
def connect(addresses)
  Redis.new(
    cluster: addresses.split(',').map { |address| "redis://#{address}" },
    timeout: 5,
    connect_timeout: 1,
    # A write whose connection broke is the program's to repeat: see again.
    reconnect_attempts: 0
  )
end

def expect(got, want)
  raise "got #{got.inspect}, want #{want.inspect}" unless got == want
end

Family = Struct.new(:use, :write, :held)

STRINGS = Family.new(
  lambda do |r, k|
    expect r.set(k, 'hello'), 'OK'
    expect r.append(k, ' world'), 11
    expect r.getrange(k, 6, -1), 'world'
    expect r.set(k, 'x', nx: true), false
    expect r.incrby("#{k}n", 41), 41
    expect r.incrbyfloat("#{k}n", 1.5), 42.5
    expect r.mset("#{k}a", '1', "#{k}b", '2'), 'OK'
    expect r.mget("#{k}a", "#{k}none", "#{k}b"), ['1', nil, '2']
    expect r.setbit("#{k}bits", 7, 1), 0
    expect r.bitcount("#{k}bits"), 1
    expect r.expire(k, 100), true
    expect (1..100).cover?(r.ttl(k)), true
    expect r.del(k, "#{k}a"), 2
  end,
  ->(r, k, n) { r.set("#{k}#{n}", n) },
  ->(r, k, n) { r.get("#{k}#{n}") == n.to_s }
)

HASHES = Family.new(
  lambda do |r, k|
    expect r.hset(k, { 'name' => 'Ada', 'year' => '1815' }), 2
    expect r.hincrby(k, 'year', 37), 1852
    expect r.hgetall(k), { 'name' => 'Ada', 'year' => '1852' }
    expect r.hmget(k, 'name', 'none'), ['Ada', nil]
    # Expiry of fields is younger than this version of the library.
    expect r.call(['HEXPIRE', k, 100, 'FIELDS', 1, 'name']), [1]
    expect r.call(['HPERSIST', k, 'FIELDS', 2, 'name', 'year']), [1, -1]
    expect r.hdel(k, %w[name none]), 1
    expect r.hscan_each(k).to_a, [%w[year 1852]]
  end,
  ->(r, k, n) { r.hset(k, "f#{n}", n) },
  ->(r, k, n) { r.hget(k, "f#{n}") == n.to_s }
)

STREAMS = Family.new(
  lambda do |r, k|
    expect r.xadd(k, { a: 1 }, id: '1-1'), '1-1'
    expect r.xadd(k, { b: 2 }, id: '1-2'), '1-2'
    expect r.xrange(k), [['1-1', { 'a' => '1' }], ['1-2', { 'b' => '2' }]]
    expect r.xgroup(:create, k, 'g', '0'), 'OK'
    expect r.xreadgroup('g', 'c', k, '>', count: 1), { k => [['1-1', { 'a' => '1' }]] }
    expect r.xpending(k, 'g')['size'], 1
    expect r.xack(k, 'g', '1-1'), 1
    expect r.xread(k, '1-1'), { k => [['1-2', { 'b' => '2' }]] }
    expect r.xtrim(k, 1), 1
    expect r.xlen(k), 1
  end,
  ->(r, k, n) { r.xadd(k, { n: n }) },
  ->(r, k, n) { r.xrange(k).any? { |_, entry| entry == { 'n' => n.to_s } } }
)

SORTED_SETS = Family.new(
  lambda do |r, k|
    expect r.zadd(k, [[1, 'a'], [2, 'b'], [3, 'c']]), 3
    expect r.zincrby(k, 5, 'a'), 6.0
    expect r.zrange(k, 0, -1, with_scores: true), [['b', 2.0], ['c', 3.0], ['a', 6.0]]
    expect r.zrangebyscore(k, '(2', '+inf'), %w[c a]
    expect r.zrank(k, 'a'), 2
    expect r.zrangestore("#{k}copy", k, 0, 1), 2
    expect r.zinterstore("#{k}both", [k, "#{k}copy"]), 2
    expect r.zpopmin(k), ['b', 2.0]
    expect r.zcard(k), 2
  end,
  ->(r, k, n) { r.zadd(k, n, "m#{n}") },
  ->(r, k, n) { r.zscore(k, "m#{n}") == n.to_f }
)

LISTS = Family.new(
  lambda do |r, k|
    expect r.rpush(k, %w[b c d]), 3
    expect r.lpush(k, 'a'), 4
    expect r.linsert(k, :before, 'c', 'x'), 5
    expect r.lrange(k, 0, -1), %w[a b x c d]
    expect r.lrem(k, 0, 'x'), 1
    expect r.lmove(k, "#{k}other", 'LEFT', 'RIGHT'), 'a'
    expect r.lpop(k, 2), %w[b c]
    expect r.llen(k), 1
    expect r.ltrim(k, 1, 0), 'OK'
    expect r.exists?(k), false
  end,
  ->(r, k, n) { r.rpush(k, n) },
  ->(r, k, n) { r.lrange(k, 0, -1).include?(n.to_s) }
)

SETS = Family.new(
  lambda do |r, k|
    expect r.sadd(k, %w[a b c]), 3
    expect r.sadd("#{k}other", %w[b c d]), 3
    expect r.sinter(k, "#{k}other").sort, %w[b c]
    expect r.sunionstore("#{k}all", k, "#{k}other"), 4
    expect r.smismember(k, 'a', 'z'), [true, false]
    expect r.smove(k, "#{k}other", 'a'), true
    expect %w[b c].include?(r.spop(k)), true
    expect r.scard(k), 1
  end,
  ->(r, k, n) { r.sadd?(k, n) },
  ->(r, k, n) { r.sismember(k, n) }
)

GEO = Family.new(
  lambda do |r, k|
    expect r.geoadd(k, 13.361389, 38.115556, 'Palermo', 15.087269, 37.502669, 'Catania'), 2
    expect r.geodist(k, 'Palermo', 'Catania', 'km').to_f.round, 166
    expect r.georadius(k, 15, 37, 100, 'km'), ['Catania']
    expect r.geohash(k, 'Palermo'), ['sqc8b49rny0']
  end,
  ->(r, k, n) { r.geoadd(k, n % 180, 0, "m#{n}") },
  ->(r, k, n) { !r.geopos(k, "m#{n}").first.nil? }
)

HYPERLOGLOGS = Family.new(
  lambda do |r, k|
    expect r.pfadd(k, %w[a b c]), true
    expect r.pfadd(k, 'c'), false
    expect r.pfadd("#{k}other", 'd'), true
    expect r.pfmerge("#{k}all", k, "#{k}other"), true
    expect r.pfcount("#{k}all"), 4
  end,
  ->(r, k, n) { r.pfadd("#{k}#{n}", n) },
  ->(r, k, n) { r.pfcount("#{k}#{n}") == 1 }
)

TRANSACTIONS = Family.new(
  lambda do |r, k|
    r.set(k, 1)
    replies = r.multi do |tx|
      tx.incr(k)
      tx.hset("#{k}h", 'f', 'v')
    end
    expect replies, [2, 1]
  end,
  lambda do |r, k, n|
    r.multi do |tx|
      tx.set("#{k}a#{n}", n)
      tx.set("#{k}b#{n}", n)
    end
  end,
  ->(r, k, n) { r.mget("#{k}a#{n}", "#{k}b#{n}") == [n.to_s, n.to_s] }
)

BLOCKING = Family.new(
  lambda do |r, k|
    expect r.blpop(k, timeout: 0.05), nil
    other = Thread.new do
      sleep 0.05
      connect(ARGV.first).rpush(k, 'a')
    end
    expect r.blpop(k, timeout: PATIENCE), [k, 'a']
    other.join
    r.zadd("#{k}z", [[1, 'a'], [2, 'b']])
    expect r.bzpopmax("#{k}z", timeout: PATIENCE), ["#{k}z", 'b', 2.0]
  end,
  lambda do |r, k, n|
    r.rpush("#{k}#{n}", n)
    r.blmove("#{k}#{n}", "#{k}to#{n}", 'LEFT', 'RIGHT', timeout: PATIENCE)
  end,
  ->(r, k, n) { r.lrange("#{k}to#{n}", 0, -1).include?(n.to_s) }
)

FAMILIES = {
  'strings' => STRINGS, 'hashes' => HASHES, 'sortedsets' => SORTED_SETS, 'lists' => LISTS, 'streams' => STREAMS, 'sets' => SETS,
  'geo' => GEO, 'hyperloglogs' => HYPERLOGLOGS, 'transactions' => TRANSACTIONS, 'blocking' => BLOCKING
}.freeze

# The block, until the cluster has a new master. It may run more than once.
def again
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + PATIENCE
  begin
    yield
  rescue Redis::BaseError
    raise if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

    sleep 0.05
    retry
  end
end

def main(addresses, names)
  r = connect(addresses)
  names.each { |name| FAMILIES[name].use.call(r, "#{RUN}:{#{name}}:before:") }
  written = Hash.new { |hash, name| hash[name] = [] }
  n = 0
  while again { r.get('clients:stop') }.nil?
    names.each do |name|
      key = "#{RUN}:{#{name}#{n % 8}}:"
      again { FAMILIES[name].write.call(r, key, n) }
      written[name] << [key, n]
    end
    n += 1
    sleep 0.005 # what matters is what happens to writes, not their number
    puts 'ready' if n == 10
    $stdout.flush
  end
  names.each do |name|
    written[name].each do |key, number|
      raise "#{name}: #{key} has lost #{number}" unless again { FAMILIES[name].held.call(r, key, number) }
    end
    FAMILIES[name].use.call(r, "#{RUN}:{#{name}}:after:")
    puts "#{name}: #{written[name].size} writes held"
  end
end

main(ARGV.first, ARGV.drop(1).empty? ? FAMILIES.keys : ARGV.drop(1))
