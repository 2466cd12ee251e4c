// Lists the servers of a service from uWSGI's cache, and sets a key by RPC: uWSGI runs this program beside its workers,
// which answer at a unix socket, in uWSGI's own protocol: https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html
package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

var (
	listen = flag.String("listen", ":8080", "the address that clients connect to")
	uwsgi  = flag.String("uwsgi", "", "the path of the socket at which uWSGI answers")
)

type server struct {
	Node    string `json:"node"`
	Address string `json:"address"`
	Port    int    `json:"port"`
}

// servers gives the passing instances; nil while Consul has not answered yet.
func servers(name string) ([]server, error) {
	answer, err := ask(111, 17, "cmd", "get", "key", "service/"+name, "cache", "consul")
	if err != nil || len(answer) < 4 {
		return nil, err
	}
	// A head of 4 bytes, which holds the length of the fields that come next; then the item.
	item := answer[4+int(binary.LittleEndian.Uint16(answer[1:])):]
	var service struct{ Instances []server }
	err = json.Unmarshal(item, &service)
	return service.Instances, err
}

func setKey(key, value string) (any, error) {
	answer, err := ask(173, 1, "consul_set", key, value)
	if err != nil {
		return nil, err
	}
	var result any
	err = json.Unmarshal(answer, &result)
	return result, err
}

// ask sends strings to one of uWSGI's plugins, which the modifiers name, and gives its answer.
func ask(modifier1, modifier2 byte, texts ...string) ([]byte, error) {
	packet := []byte{modifier1, 0, 0, modifier2}
	for _, text := range texts {
		packet = binary.LittleEndian.AppendUint16(packet, uint16(len(text)))
		packet = append(packet, text...)
	}
	if len(packet) > 4+65535 {
		return nil, errors.New("uWSGI takes 65535 bytes at most")
	}
	binary.LittleEndian.PutUint16(packet[1:], uint16(len(packet)-4))
	connection, err := net.DialTimeout("unix", *uwsgi, time.Second)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := connection.Write(packet); err != nil {
		return nil, err
	}
	return io.ReadAll(connection)
}

func reply(response http.ResponseWriter, name string, value any, err error) {
	answer := map[string]any{"language": "go", name: value}
	if err != nil {
		answer = map[string]any{"language": "go", "error": err.Error()}
	}
	response.Header().Set("Content-Type", "application/json")
	json.NewEncoder(response).Encode(answer)
}

func main() {
	flag.Parse()
	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		found, err := servers("languages")
		reply(response, "found", found, err)
	})
	http.HandleFunc("/set", func(response http.ResponseWriter, request *http.Request) {
		result, err := setKey(request.FormValue("key"), request.FormValue("value"))
		reply(response, "result", result, err)
	})
	log.Fatal(http.ListenAndServe(*listen, nil))
}
