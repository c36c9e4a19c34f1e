-- Takes the cost of one call from each of its limits, or from none, by the server's own clock.
-- KEYS: one for each limit. ARGV: the cost, then four for each limit:
--   'r', the microseconds that one takes (a multiple of 1/16), how many may come at once, 0
--   'w', how many in a window, the window's length, how long before the epoch the first began (both in seconds)
-- Returns four for each limit: whether it has room, what is left, microseconds until it is as new, microseconds to wait.

-- Doubles have sixteenths of a microsecond for times that count from here (2023-11-14), and not from the epoch.
local BASE = 1700000000
local time = redis.call('TIME')
local seconds, micros = tonumber(time[1]), tonumber(time[2])
local now = (seconds - BASE) * 1000000 + micros
local cost = tonumber(ARGV[1])

local said, writes, all = {}, {}, true

-- `share` is how much sooner it is as new if nothing is taken.
local function say(room, left, reset, share, wait)
    said[#said + 1] = { room = room, left = left, reset = reset, share = share, wait = wait }
    all = all and room
end

for i, key in ipairs(KEYS) do
    local at = 4 * i - 2
    local first, second, third = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
    local kept = redis.call('GET', key)
    if ARGV[at] == 'r' then
        local full = first * second
        -- The time at which it is as new again. A clock that was set back must not shut anybody out for long.
        local tat = math.min(math.max(kept and tonumber(kept) or now, now), now + full)
        local after = tat + first * cost
        local over = after - now - full
        if over > 0 then
            say(false, math.floor((full - (tat - now)) / first), tat - now, 0, over)
        else
            say(true, math.floor((full - (after - now)) / first), after - now, first * cost, 0)
            writes[#writes + 1] = { key, string.format('%.4f', after), math.ceil((after - now) / 1000) + 1 }
        end
    else
        local since = seconds + third
        local number = math.floor(since / second)
        local left = ((number + 1) * second - since) * 1000000 - micros
        local taken = 0
        if kept then
            local window, count = string.match(kept, '^(%d+):(%d+)$')
            -- A clock that was set back gives nothing again.
            if window and tonumber(window) >= number then
                number, taken = tonumber(window), tonumber(count)
            end
        end
        if taken + cost > first then
            say(false, math.max(first - taken, 0), left, 0, left)
        else
            say(true, first - taken - cost, left, 0, 0)
            local value = string.format('%.0f:%.0f', number, taken + cost)
            writes[#writes + 1] = { key, value, math.ceil(left / 1000) + 1 }
        end
    end
end

local answer = {}
for _, one in ipairs(said) do
    if one.room and not all then
        one.left, one.reset = one.left + cost, one.reset - one.share
    end
    answer[#answer + 1] = one.room and 1 or 0
    answer[#answer + 1] = one.left
    answer[#answer + 1] = math.ceil(one.reset)
    answer[#answer + 1] = math.ceil(one.wait)
end

if all then
    for _, write in ipairs(writes) do
        redis.call('SET', write[1], write[2], 'PX', string.format('%.0f', write[3]))
    end
end
return answer
