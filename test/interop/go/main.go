// A go-libp2p peer to test against. It listens on TCP and QUIC, says where in the
// first line that it prints, and obeys commands: a line of JSON each, answered by
// a line of JSON. It ends when its input does.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"sync"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// A Command is what a line of the input says
type Command struct {
	ID      int    `json:"id"`
	Command string `json:"command"`

	// Stop to handle it
	Protocol protocol.ID `json:"protocol"`

	// Open streams there
	To string `json:"to"`
	Exchanges

	// How much of the bulk data is written at a time, in bytes
	Chunk int `json:"chunk"`
}

type message map[string]any

var output sync.Mutex

// say prints a line of JSON
func say(m message) {
	output.Lock()
	defer output.Unlock()

	if err := json.NewEncoder(os.Stdout).Encode(m); err != nil {
		os.Exit(1)
	}
}

func main() {
	h, err := libp2p.New(
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}

	handle(h)

	var addrs []string
	for _, addr := range h.Addrs() {
		addrs = append(addrs, fmt.Sprintf("%s/p2p/%s", addr, h.ID()))
	}

	say(message{"peer": "go-libp2p " + libp2pVersion(), "addrs": addrs})

	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var command Command
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}

		go obey(h, command)
	}
}

func libp2pVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}

	for _, module := range info.Deps {
		if module.Path == "github.com/libp2p/go-libp2p" {
			return module.Version
		}
	}

	return ""
}

func obey(h host.Host, command Command) {
	answer, err := run(h, command)
	if err != nil {
		answer = message{"error": err.Error()}
	}

	answer["id"] = command.ID
	say(answer)
}

func run(h host.Host, command Command) (message, error) {
	switch command.Command {
	case "drop":
		// the host would push the news to everybody
		h.Mux().RemoveHandler(command.Protocol)
		return message{}, nil
	case "exchange":
		return exchangeAll(h, command)
	case "bulk":
		return bulk(h, command)
	case "cpu":
		return cpu()
	default:
		return nil, fmt.Errorf("there is no command %q", command.Command)
	}
}
