package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Exchanges says which streams to open: each sends a request and ends it, and
// wants the same bytes back
type Exchanges struct {
	Size int `json:"size"`

	// In all, and at a time
	Streams     int `json:"streams"`
	Concurrency int `json:"concurrency"`

	// Send the end when the answer is there. This is how the benchmarks do it, whose
	// listener would lose an earlier one.
	WaitForAnswer bool `json:"waitForAnswer"`

	// How long one may take, in ms
	Timeout int `json:"timeout"`
}

// How long the answer took, in ms
type timing struct {
	firstByte, total float64
}

func exchangeAll(h host.Host, command Command) (message, error) {
	info, err := peer.AddrInfoFromString(command.To)
	if err != nil {
		return nil, err
	}

	// this waits for identify, after it NewStream does not wait for the peer
	if err := h.Connect(context.Background(), *info); err != nil {
		return nil, err
	}

	var lock sync.Mutex
	var workers sync.WaitGroup
	left := command.Streams
	firstByte := []float64{}
	total := []float64{}
	failures := []string{}

	next := func() bool {
		lock.Lock()
		defer lock.Unlock()
		left--
		return left >= 0
	}

	start := time.Now()

	for range command.Concurrency {
		workers.Go(func() {
			for next() {
				took, err := exchange(h, info.ID, command.Protocol, command.Exchanges)

				lock.Lock()
				if err != nil {
					failures = append(failures, err.Error())
				} else {
					firstByte = append(firstByte, took.firstByte)
					total = append(total, took.total)
				}
				lock.Unlock()
			}
		})
	}

	workers.Wait()

	return message{
		"answered":  len(total),
		"failures":  failures,
		"firstByte": firstByte,
		"total":     total,
		"took":      milliseconds(time.Since(start)),
	}, nil
}

func exchange(h host.Host, to peer.ID, id protocol.ID, init Exchanges) (timing, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(init.Timeout)*time.Millisecond)
	defer cancel()

	request := bytes.Repeat([]byte{7}, init.Size)
	start := time.Now()

	s, err := h.NewStream(ctx, to, id)
	if err != nil {
		return timing{}, err
	}

	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()

	took, err := converse(s, request, start, init.WaitForAnswer)
	if ctx.Err() != nil {
		err = errors.New("timeout")
	}

	if err != nil {
		_ = s.Reset()
		return timing{}, err
	}

	return took, s.Close()
}

func converse(s network.Stream, request []byte, start time.Time, waitForAnswer bool) (timing, error) {
	if _, err := s.Write(request); err != nil {
		return timing{}, err
	}

	if !waitForAnswer {
		if err := s.CloseWrite(); err != nil {
			return timing{}, err
		}
	}

	answer := make([]byte, len(request))
	if _, err := io.ReadFull(s, answer[:1]); err != nil {
		return timing{}, err
	}

	firstByte := milliseconds(time.Since(start))

	if _, err := io.ReadFull(s, answer[1:]); err != nil {
		return timing{}, err
	}

	if !bytes.Equal(answer, request) {
		return timing{}, errors.New("the answer is not the request")
	}

	if waitForAnswer {
		if err := s.CloseWrite(); err != nil {
			return timing{}, err
		}
	}

	if n, err := s.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return timing{}, errors.New("the answer does not end")
	}

	return timing{firstByte, milliseconds(time.Since(start))}, nil
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1000
}
