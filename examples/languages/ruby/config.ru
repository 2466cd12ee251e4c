# Lists the servers of a service from uWSGI's cache, and sets a key by RPC.
require "json"
require "uri"

# An object, since uWSGI takes no lambda from Rack 3.
class Languages
  # The passing instances; nil while Consul has not answered yet.
  def servers(name)
    item = UWSGI.cache_get("service/#{name}", "consul")
    item && JSON.parse(item)["instances"]
  end

  def set_key(key, value)
    # The first argument would be another instance to ask.
    JSON.parse(UWSGI.rpc(nil, "consul_set", key, value))
  end

  def call(env)
    answer = { "language" => "ruby" }
    if env["PATH_INFO"] == "/set"
      query = URI.decode_www_form(env["QUERY_STRING"]).to_h
      answer["result"] = set_key(query["key"], query["value"])
    else
      answer["found"] = servers("languages")&.map { |server| server.slice("node", "address", "port") }
    end
    [200, { "content-type" => "application/json" }, [JSON.generate(answer)]]
  end
end

run Languages.new
