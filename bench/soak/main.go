// Command soak holds a running server at the limit of admission with clients that finish, leave, stall, send nonsense or say
// nothing, and stops and starts it in the middle. It ends with an error when an answer is not the one that a quiet
// server gives, when something fails that should not, or when goroutines, pages or memory do not come back:
//
//	go build -race -o qrun ./cmd/qrun
//	go run ./bench/soak --race --for 1h --idle 10000 -- ./qrun serve m.qpt --port 8000 --kv-memory 64MiB --max-running 12 --max-waiting 6 --log none
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

var (
	long    = flag.Duration("for", time.Minute, "how long")
	url     = flag.String("url", "http://127.0.0.1:8000", "of the server")
	clients = flag.Int("clients", 24, "at once, more than the server admits")
	idle    = flag.Int("idle", 1000, "connections that say nothing")
	grow    = flag.Float64("grow", 192, "MiB that the server's memory may grow by: the pages of --kv-memory, 64 of kept responses, and garbage")
	race    = flag.Bool("race", false, "the server is built with -race, whose detector keeps some 0.2 MiB for each goroutine that there was at once")
)

const kinds = 24 // of requests

func main() {
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "soak: error: give the server's command behind --")
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "soak: error:", err)
		os.Exit(1)
	}
}

func run() error {
	server, err := start()
	if err != nil {
		return err
	}
	defer func() { server.Process.Kill() }()
	want := make([]string, kinds)
	for i := range want { // one after the other, with nobody else there
		status, text, err := post(context.Background(), "/v1/completions", body(i))
		if err != nil || status != 200 {
			return fmt.Errorf("request %d of a quiet server: %d %s %w", i, status, text, err)
		}
		want[i] = choices(text)
	}
	half := *long / 2
	if err := soak(half, want); err != nil {
		return err
	}
	// In the middle of the work the server is told to end: what runs comes to its end or is refused, and it ends well.
	ended := make(chan error, 1)
	go func() {
		time.Sleep(min(half/4, 10*time.Second))
		server.Process.Signal(syscall.SIGTERM)
		ended <- server.Wait()
	}()
	stopping := newTally()
	stopping.mayFail = true
	stopping.load(min(half/2, 20*time.Second), want)
	select {
	case err := <-ended:
		if code := server.ProcessState.ExitCode(); code != 0 && code != 143 {
			return fmt.Errorf("after SIGTERM: %w", err)
		}
	case <-time.After(time.Minute):
		return fmt.Errorf("the server goes on a minute after SIGTERM")
	}
	fmt.Println("while it was stopped:", stopping.count)
	if stopping.err != nil {
		return stopping.err
	}
	if server, err = start(); err != nil {
		return err
	}
	return soak(half, want)
}

// start starts the server and waits until it is ready.
func start() (*exec.Cmd, error) {
	c := exec.Command(flag.Arg(0), flag.Args()[1:]...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		return nil, err
	}
	for range 600 {
		if r, err := http.Get(*url + "/ready"); err == nil {
			r.Body.Close()
			if r.StatusCode == 200 {
				return c, nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.Process.Kill()
	return nil, fmt.Errorf("the server is not ready after a minute")
}

// soak works for a time and looks what is left.
func soak(long time.Duration, want []string) error {
	t := newTally()
	t.load(min(long/4, 30*time.Second), want) // so that pools and caches are as large as they become
	time.Sleep(time.Second)
	before, err := gauges()
	if err != nil {
		return err
	}
	var quiet []net.Conn
	for range *idle {
		c, err := net.Dial("tcp", strings.TrimPrefix(*url, "http://"))
		if err != nil {
			return fmt.Errorf("connection %d that says nothing: %w", len(quiet), err)
		}
		quiet = append(quiet, c)
	}
	t.load(long, want)
	for _, c := range quiet {
		c.Close()
	}
	fmt.Println(t.count)
	if t.err != nil {
		return t.err
	}
	for _, what := range []string{"answer", "refused", "left", "nonsense", "slow"} {
		if t.count[what] == 0 {
			return fmt.Errorf("no client's end was %q: %v", what, t.count)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	var after map[string]float64
	for range 300 { // an idle process collects what it does not need every two minutes, and gives it back slowly
		if after, err = gauges(); err != nil {
			return err
		}
		if err = back(before, after); err == nil {
			break
		}
		time.Sleep(time.Second)
	}
	fmt.Println("before", before, "after", after)
	return err
}

// back tells what has not come back to where it was.
func back(before, after map[string]float64) error {
	const heap, all = "go_memstats_heap_inuse_bytes", "process_resident_memory_bytes"
	mib := func(name string) (from, to float64) { return before[name] / (1 << 20), after[name] / (1 << 20) }
	more := *grow
	if *race {
		more += 0.3 * float64(*idle+*clients)
	}
	switch {
	case after["go_goroutines"] > before["go_goroutines"]+4:
		return fmt.Errorf("%v goroutines before, %v after", before["go_goroutines"], after["go_goroutines"])
	case after["num_requests_running"]+after["num_requests_waiting"]+after["kv_cache_usage_perc"] != 0:
		return fmt.Errorf("nobody is there, but %v", after)
	}
	if from, to := mib(all); to > from+more {
		return fmt.Errorf("the server has grown from %.0f to %.0f MiB", from, to)
	}
	if from, to := mib(heap); to > from+*grow {
		return fmt.Errorf("the server's heap has grown from %.0f to %.0f MiB", from, to)
	}
	return nil
}

// gauges reads what should come back to where it was.
func gauges() (map[string]float64, error) {
	r, err := http.Get(*url + "/metrics")
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	found := map[string]float64{}
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		name, _, _ = strings.Cut(name, "{")
		if _, after, ok := strings.Cut(name, ":"); ok {
			name = after
		}
		switch name {
		case "go_goroutines", "go_memstats_heap_inuse_bytes", "process_resident_memory_bytes", "process_open_fds", "num_requests_running", "num_requests_waiting", "kv_cache_usage_perc":
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return nil, err
			}
			found[name] += v
		}
	}
	if found["go_goroutines"] == 0 {
		return nil, fmt.Errorf("no go_goroutines in %s/metrics", *url)
	}
	return found, nil
}

// body is a request of a kind: with prompts that begin alike, and a seed.
func body(i int) string {
	return fmt.Sprintf(`{"prompt":"Once %s","max_tokens":%d,"temperature":%d,"seed":%d,"logprobs":1,"ignore_eos":true}`, strings.Repeat("upon a time ", i%7*3), 2+i*5%90, i%2, i)
}

// choices is what must be the same in each answer to a request.
func choices(text string) string {
	var a struct {
		Choices json.RawMessage `json:"choices"`
	}
	if json.Unmarshal([]byte(text), &a) != nil {
		return "no JSON: " + text
	}
	return string(a.Choices)
}

func post(ctx context.Context, path, body string) (status int, text string, err error) {
	r, err := http.NewRequestWithContext(ctx, "POST", *url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "application/json")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer a.Body.Close()
	var b bytes.Buffer
	_, err = io.Copy(&b, a.Body)
	return a.StatusCode, b.String(), err
}

// tally counts how clients' requests ended.
type tally struct {
	mayFail bool // connections may be refused and cut

	mu    sync.Mutex
	count map[string]int
	err   error
}

func newTally() *tally { return &tally{count: map[string]int{}} }

// load lets all clients work.
func (t *tally) load(long time.Duration, want []string) {
	var wg sync.WaitGroup
	end := time.Now().Add(long)
	for w := range *clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), uint64(end.UnixNano())))
			for time.Now().Before(end) {
				what, err := client(rng, want)
				t.mu.Lock()
				switch {
				case err == nil:
					t.count[what]++
				case what == "connection" && t.mayFail:
					t.count["no connection"]++
				case t.err == nil:
					t.err = err
				}
				failed := t.err != nil
				t.mu.Unlock()
				if failed {
					return
				}
				if what == "connection" || what == "refused" || what == "stopping" {
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
}

// client is one request of some kind; it tells how that went.
func client(rng *rand.Rand, want []string) (string, error) {
	i := rng.IntN(kinds)
	switch rng.IntN(8) {
	case 0: // leaves
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(200))*time.Millisecond)
		defer cancel()
		if _, _, err := post(ctx, "/v1/completions", strings.Replace(body(i), "{", `{"stream":true,"n":2,`, 1)); err == nil {
			return "answer before it left", nil
		}
		return "left", nil
	case 1: // nonsense
		text := []byte(body(i))
		for range 1 + rng.IntN(4) {
			text[rng.IntN(len(text))] = byte(rng.IntN(256))
		}
		paths := strings.Fields("/v1/completions /v1/chat/completions /v1/responses /v1/messages /v1/embeddings /api/chat /rerank /tokenize")
		status, answer, err := post(context.Background(), paths[rng.IntN(len(paths))], string(text))
		switch {
		case err != nil:
			return "connection", err
		case status >= 500 && status != 503:
			return "", fmt.Errorf("%q: %d %s", text, status, answer)
		}
		return "nonsense", nil
	case 2: // reads slowly
		a, err := http.Post(*url+"/v1/completions", "application/json", strings.NewReader(strings.Replace(body(i), "{", `{"stream":true,`, 1)))
		if err != nil {
			return "connection", err
		}
		defer a.Body.Close()
		lines := bufio.NewScanner(a.Body)
		for n := 0; n < 5 && lines.Scan(); n++ {
			time.Sleep(10 * time.Millisecond)
		}
		return "slow", nil
	}
	status, text, err := post(context.Background(), "/v1/completions", body(i))
	switch {
	case err != nil:
		return "connection", err
	case status == 429:
		return "refused", nil
	case status == 503:
		return "stopping", nil
	case status != 200:
		return "", fmt.Errorf("request %d: %d %s", i, status, text)
	case choices(text) != want[i]:
		return "", fmt.Errorf("request %d: %s\nof a quiet server: %s", i, choices(text), want[i])
	}
	return "answer", nil
}
