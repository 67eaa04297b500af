package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// bulk sends `size` bytes on one stream in writes of `chunk`, and returns how long it
// took until the peer has said that it got them all
func bulk(h host.Host, command Command) (message, error) {
	info, err := peer.AddrInfoFromString(command.To)
	if err != nil {
		return nil, err
	}

	if err := h.Connect(context.Background(), *info); err != nil {
		return nil, err
	}

	s, err := h.NewStream(context.Background(), info.ID, command.Protocol)
	if err != nil {
		return nil, err
	}

	start := time.Now()

	if err := sendAll(s, command.Size, command.Chunk); err != nil {
		_ = s.Reset()
		return nil, err
	}

	return message{"took": milliseconds(time.Since(start))}, s.Close()
}

func sendAll(s network.Stream, size, chunk int) error {
	data := make([]byte, chunk)

	for left := size; left > 0; left -= chunk {
		if _, err := s.Write(data[:min(left, chunk)]); err != nil {
			return err
		}
	}

	if err := s.CloseWrite(); err != nil {
		return err
	}

	var total int
	if err := json.NewDecoder(s).Decode(&total); err != nil {
		return err
	}

	if total != size {
		return fmt.Errorf("the peer got %d bytes of %d", total, size)
	}

	return nil
}

// count answers the end with how many bytes it got, and does nothing else, so that it
// takes no more than it has to
func count(s network.Stream) error {
	buffer := make([]byte, 1<<18)
	total := 0

	for {
		n, err := s.Read(buffer)
		total += n

		if err == io.EOF {
			return json.NewEncoder(s).Encode(total)
		}

		if err != nil {
			return err
		}
	}
}

// cpu returns what the process has taken so far, in us
func cpu() (message, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return nil, err
	}

	return message{"cpu": (usage.Utime.Nano() + usage.Stime.Nano()) / 1000}, nil
}
