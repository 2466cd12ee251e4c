-- Lists the servers of a service from uWSGI's cache, and sets a key by HTTP, since uWSGI's binding for Lua has no RPC.
local cjson = require "cjson"
local http = require "socket.http"
local ltn12 = require "ltn12"
local url = require "socket.url"

http.TIMEOUT = 2

-- The passing instances; nil while Consul has not answered yet.
local function servers(name)
    local item = uwsgi.cache_get("service/" .. name, "consul")
    return item and cjson.decode(item).instances
end

local function set_key(key, value)
    local answer = {}
    local done, status = http.request {
        method = "PUT",
        url = "http://127.0.0.1:8500/v1/kv/" .. url.escape(key):gsub("%%2[fF]", "/"),
        headers = {["Content-Length"] = #value},
        source = ltn12.source.string(value),
        sink = ltn12.sink.table(answer),
    }
    return done and status == 200 and table.concat(answer) == "true"
end

local function query(text)
    local fields = {}
    for name, value in text:gmatch("([^&=]+)=([^&]*)") do
        fields[url.unescape(name)] = url.unescape((value:gsub("+", " ")))
    end
    return fields
end

local function answer(environ)
    if environ.PATH_INFO == "/set" then
        local fields = query(environ.QUERY_STRING)
        return cjson.encode {language = "lua", rpc = false, result = set_key(fields.key, fields.value)}
    end
    local found = servers("languages")
    if not found then
        return cjson.encode {language = "lua", found = cjson.null}
    end
    for i, server in ipairs(found) do
        found[i] = cjson.encode {node = server.node, address = server.address, port = server.port}
    end
    -- Joined here, since an empty table would be encoded as an object.
    return '{"language":"lua","found":[' .. table.concat(found, ",") .. "]}"
end

return function(environ)
    local body = answer(environ)
    return "200 OK", {["Content-Type"] = "application/json"}, coroutine.wrap(function() coroutine.yield(body) end)
end
