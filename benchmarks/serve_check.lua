-- wrk script: posts one body and holds every answer against those of whole versions.
-- Arguments: media type and file of the body, then one file a version with the answer's part from
-- "predictions" on, for each assignment id: ID=FILE.
local expected, threads = {}, {}
wrk.method = "POST"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  wrk.headers["Content-Type"] = args[1]
  wrk.body = read(args[2])
  for i = 3, #args do
    local id, path = args[i]:match("^([^=]+)=(.*)$")
    expected[id] = read(path)
  end
  mixed, failed, by_id = 0, 0, ""
  counts = {}
end

function response(status, headers, body)
  if status ~= 200 then
    failed = failed + 1
    return
  end
  local version = body:match('"model_version":(%d+)')
  local id = body:match('"assignment_id":"([^"]*)"')
  local part = body:sub(body:find('"predictions"', 1, true), -1)
  part = part:gsub('"model_version":' .. version, '"model_version":0')
  if part ~= expected[id] then mixed = mixed + 1 end
  counts[id] = (counts[id] or 0) + 1
  by_id = ""
  for name, n in pairs(counts) do by_id = by_id .. name .. ":" .. n .. " " end
end

function done(summary, latency, requests)
  local failed, mixed, seen = 0, 0, ""
  for _, thread in ipairs(threads) do
    failed = failed + thread:get("failed")
    mixed = mixed + thread:get("mixed")
    seen = seen .. thread:get("by_id")
  end
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f,' ..
    '"failed":%d,"mixed":%d,"socket_errors":%d,"answers":"%s"}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3, failed, mixed,
    e.connect + e.read + e.write + e.timeout, seen))
end
