<?php
// Lists the servers of a service from uWSGI's cache, and sets a key by HTTP, since uwsgi_rpc() crashes the worker.

/** The passing instances; null while Consul has not answered yet. */
function servers(string $name): ?array
{
    $item = uwsgi_cache_get("service/$name", "consul");
    return $item === null ? null : json_decode($item, true)["instances"];
}

function set_key(string $key, string $value): mixed
{
    $path = implode("/", array_map("rawurlencode", explode("/", $key)));
    $request = ["method" => "PUT", "content" => $value, "timeout" => 2, "header" => "Content-Type: text/plain"];
    return json_decode(file_get_contents("http://127.0.0.1:8500/v1/kv/$path", false, stream_context_create(["http" => $request])));
}

$answer = ["language" => "php"];
if (parse_url($_SERVER["REQUEST_URI"], PHP_URL_PATH) === "/set") {
    $answer["rpc"] = false;
    $answer["result"] = set_key($_GET["key"], $_GET["value"]);
} else {
    $found = servers("languages");
    $fields = array_flip(["node", "address", "port"]);
    $answer["found"] = $found === null ? null : array_map(fn ($server) => array_intersect_key($server, $fields), $found);
}
header("Content-Type: application/json");
echo json_encode($answer);
