package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const slowness = 300 * time.Millisecond

var handlers = map[protocol.ID]func(network.Stream) error{
	"/interop/echo/1.0.0":        echo,
	"/interop/other/1.0.0":       echo,
	"/interop/dropped/1.0.0":     echo,
	"/interop/speak-first/1.0.0": speakFirst,
	"/interop/sink/1.0.0":        sink,
	"/interop/slow/1.0.0":        slow,
	"/interop/lp/1.0.0":          lengthPrefixed,
	"/interop/count/1.0.0":       count,
}

func handle(h host.Host) {
	for id, handler := range handlers {
		h.SetStreamHandler(id, func(s network.Stream) {
			if err := handler(s); err != nil {
				_ = s.Reset()
				return
			}

			_ = s.Close()
		})
	}
}

func echo(s network.Stream) error {
	_, err := io.Copy(s, s)
	return err
}

func speakFirst(s network.Stream) error {
	_, err := io.WriteString(s, "welcome")
	return err
}

// sink answers with what it got when it has ended. It says so, and that it has
// begun, on stdout as well: that is how a test knows while it holds our answers.
func sink(s network.Stream) error {
	sum := sha256.New()
	buffer := make([]byte, 65_536)
	total := 0

	for {
		n, err := s.Read(buffer)
		if total == 0 && n > 0 {
			say(message{"event": "received", "data": string(buffer[:min(n, 64)])})
		}

		sum.Write(buffer[:n])
		total += n

		if err == io.EOF {
			break
		}

		if err != nil {
			return err
		}
	}

	report := message{"bytes": total, "sha256": hex.EncodeToString(sum.Sum(nil))}
	say(message{"event": "ended", "bytes": total})

	return json.NewEncoder(s).Encode(report)
}

func slow(s network.Stream) error {
	time.Sleep(slowness)
	return sink(s)
}

// lengthPrefixed sends back each message that it gets
func lengthPrefixed(s network.Stream) error {
	reader := bufio.NewReader(s)

	for {
		length, err := binary.ReadUvarint(reader)
		if err == io.EOF {
			return nil
		}

		if err != nil {
			return err
		}

		data := make([]byte, length)
		if _, err := io.ReadFull(reader, data); err != nil {
			return err
		}

		if _, err := s.Write(append(binary.AppendUvarint(nil, length), data...)); err != nil {
			return err
		}
	}
}
