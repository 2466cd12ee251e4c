// Lists the servers of a service from uWSGI's cache, and sets a key by HTTP. uWSGI runs this program beside its workers, which
// give what is in the cache at a unix socket, in uWSGI's own protocol: https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html
package main

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

var (
	listen = flag.String("listen", ":8080", "the address that clients connect to")
	uwsgi  = flag.String("uwsgi", "", "the path of the socket at which uWSGI answers")
	agent  = http.Client{Timeout: 2 * time.Second}
)

type server struct {
	Node    string `json:"node"`
	Address string `json:"address"`
	Port    int    `json:"port"`
}

// servers gives the passing instances; nil while Consul has not answered yet.
func servers(name string) ([]server, error) {
	item, err := cacheGet("service/"+name, "consul")
	if item == nil || err != nil {
		return nil, err
	}
	var service struct{ Instances []server }
	err = json.Unmarshal(item, &service)
	return service.Instances, err
}

// cacheGet gives an item of one of uWSGI's caches, nil when there is none.
func cacheGet(key, cache string) ([]byte, error) {
	connection, err := net.DialTimeout("unix", *uwsgi, time.Second)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(5 * time.Second))
	// A head of 4 bytes, which names the plugin (111), its command (17) and the length of what follows: fields, each after its length.
	packet := []byte{111, 0, 0, 17}
	for _, text := range []string{"cmd", "get", "key", key, "cache", cache} {
		packet = binary.LittleEndian.AppendUint16(packet, uint16(len(text)))
		packet = append(packet, text...)
	}
	binary.LittleEndian.PutUint16(packet[1:], uint16(len(packet)-4))
	if _, err := connection.Write(packet); err != nil {
		return nil, err
	}
	// The answer has such a head and fields too, and then the item.
	answer, err := io.ReadAll(connection)
	if len(answer) < 4 || err != nil {
		return nil, err
	}
	return answer[4+int(binary.LittleEndian.Uint16(answer[1:])):], nil
}

func setKey(key, value string) (bool, error) {
	address := url.URL{Scheme: "http", Host: "127.0.0.1:8500", Path: "/v1/kv/" + key}
	request, err := http.NewRequest("PUT", address.String(), strings.NewReader(value))
	if err != nil {
		return false, err
	}
	answer, err := agent.Do(request)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("Consul answers %s: %s", answer.Status, body)
	}
	return strings.TrimSpace(string(body)) == "true", err
}

func reply(response http.ResponseWriter, answer map[string]any, err error) {
	if err != nil {
		answer = map[string]any{"error": err.Error()}
	}
	answer["language"] = "go"
	response.Header().Set("Content-Type", "application/json")
	json.NewEncoder(response).Encode(answer)
}

func main() {
	flag.Parse()
	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		found, err := servers("languages")
		reply(response, map[string]any{"found": found}, err)
	})
	http.HandleFunc("/set", func(response http.ResponseWriter, request *http.Request) {
		result, err := setKey(request.FormValue("key"), request.FormValue("value"))
		reply(response, map[string]any{"rpc": false, "result": result}, err)
	})
	log.Fatal(http.ListenAndServe(*listen, nil))
}
