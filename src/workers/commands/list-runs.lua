-- prefix, `live` or `ended`, then tenant, pipeline and outcome that are wanted (each with `=` before it, or '' for any), score and id of
-- the run that the page before ended with ('' at the start), how many lines are wanted, how many runs are looked at for them at most → `ok`,
-- score and id of the last run that was looked at ('' where there is none after it), and of each run its id and its field `line`; where it
-- has none yet, other fields. Of one without the field `pipeline`, or that has ended without `outcome`, it isn't known whether it is wanted.

local prefix, from = ARGV[1], ARGV[2]
local function wanted(text)
  if text ~= '' then return string.sub(text, 2) end
end
local tenant, pipeline, outcome = wanted(ARGV[3]), wanted(ARGV[4]), wanted(ARGV[5])
local score, id, limit, most = ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])

local size = function(set) return redis.call('ZCARD', set) end
local ofTenant = prefix .. ':live-tenant:' .. (tenant or '')
local set, implied, isWhole = prefix .. (from == 'live' and ':live' or ':finished'), '', false
if from == 'live' then
  -- Fewer than the tenant has: some were submitted by a process that knows no such set.
  local count = tonumber(tenant and redis.call('HGET', prefix .. ':tenants', tenant) or 0)
  if tenant and tenant ~= '' and size(ofTenant) >= count then set = ofTenant end
else
  local known = 0
  for _, each in ipairs({'completed', 'cancelled', 'failed', 'unknown'}) do
    known = known + size(prefix .. ':ended-outcome:' .. each)
  end
  -- Fewer than there are: some were ended by a process that knows no such sets, and are not in them yet.
  isWhole = known >= size(set)
  if isWhole then
    local least = size(set)
    for kind, name in pairs({tenant = tenant or '', pipeline = pipeline or '', outcome = outcome or ''}) do
      local smaller = prefix .. ':ended-' .. kind .. ':' .. name
      if name ~= '' and size(smaller) < least then set, least, implied = smaller, size(smaller), kind end
    end
  end
end

-- As Redis orders members of one score.
local function isBefore(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local at = 0
if score ~= '' then
  local rank = redis.call('ZSCORE', set, id) == score and redis.call('ZREVRANK', set, id)
  -- It is gone since: the next one is where it was.
  if rank then at = rank + 1 else at = redis.call('ZCOUNT', set, '(' .. score, '+inf') end
end

local lines, gone, looked, last = {}, {}, 0, nil
local filters = {}
if tenant and implied ~= 'tenant' then filters[#filters + 1] = {'tenant', tenant} end
if pipeline and implied ~= 'pipeline' then filters[#filters + 1] = {'pipeline', pipeline} end
if outcome and implied ~= 'outcome' then filters[#filters + 1] = {'outcome', outcome} end

-- Which of these runs are wanted, as the other sets have it; else by their fields, where what isn't known may be what is wanted.
local function wantedOf(runIds)
  local fits = {}
  for i = 1, #runIds do fits[i] = true end
  for _, filter in ipairs(filters) do
    if isWhole and filter[2] ~= '' then
      local found = redis.call('ZMSCORE', prefix .. ':ended-' .. filter[1] .. ':' .. filter[2], unpack(runIds))
      for i = 1, #runIds do fits[i] = fits[i] and found[i] ~= false end
    else
      for i, runId in ipairs(runIds) do
        local value = fits[i] and redis.call('HGET', prefix .. ':run:' .. runId, filter[1])
        if value and value ~= filter[2] then fits[i] = false end
      end
    end
  end
  return fits
end
local function look(runId)
  local run = prefix .. ':run:' .. runId
  local line = from == 'ended' and redis.call('HGET', run, 'line')
  if line then
    lines[#lines + 1] = {runId, line}
    return
  end
  local of = redis.call('HMGET', run, 'status', 'submitted', 'seq', 'tenant', 'dead', 'pipeline', 'by')
  if not of[1] then return end
  if set == ofTenant and of[1] ~= 'live' then gone[#gone + 1] = runId
  else lines[#lines + 1] = {runId, false, unpack(of, 1, 7)} end
end
while #lines < limit and looked < most do
  local page = redis.call('ZREVRANGE', set, at, at + 99, 'WITHSCORES')
  local runIds = {}
  for i = 1, #page, 2 do runIds[#runIds + 1] = page[i] end
  local fits = #runIds > 0 and wantedOf(runIds)
  for i = 1, #page, 2 do
    last = {page[i + 1], page[i]}
    at, looked = at + 1, looked + 1
    if fits[(i + 1) / 2] and not (page[i + 1] == score and not isBefore(page[i], id)) then look(page[i]) end
    if #lines == limit or looked == most then break end
  end
  if #lines < limit and looked < most and #page < 200 then
    last = nil
    break
  end
end
for _, runId in ipairs(gone) do redis.call('ZREM', set, runId) end
return {'ok', last and last[1] or '', last and last[2] or '', lines}
