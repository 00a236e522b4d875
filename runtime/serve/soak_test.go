package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"qpt/runtime"
	"qpt/runtime/serve/sched"
)

// TestSoak holds a server at the limit of admission with clients that finish, leave, stall, and send nonsense. Answers
// are those of a quiet server, and at the end no goroutine and no page is left. QPT_SOAK is for how long.
func TestSoak(t *testing.T) {
	long := 2 * time.Second
	if v := os.Getenv("QPT_SOAK"); v != "" {
		var err error
		if long, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	before := goruntime.NumGoroutine()
	t.Run("serve", func(t *testing.T) { soak(t, long) })
	http.DefaultClient.CloseIdleConnections()
	for i := 0; goruntime.NumGoroutine() > before+2; i++ {
		if i == 500 {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after\n%s", before, goruntime.NumGoroutine(), stacks[:goruntime.Stack(stacks, true)])
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func soak(t *testing.T, long time.Duration) {
	const kinds = 24
	body := func(i int) string {
		return fmt.Sprintf(`{"prompt":"Once %s","max_tokens":%d,"temperature":%d,"seed":%d,"logprobs":1,"ignore_eos":true}`, strings.Repeat("upon a time ", i%7*3), 2+i*5%90, i%2, i)
	}
	s := startWith(t, Options{Sched: sched.Options{Texts: 12, Queue: 6, TargetGap: 10 * time.Millisecond}, MaxBody: 1 << 20},
		runtime.Options{KVMemory: 10 * 128 * 5 * 4 * 2 * 32 * 2})
	want := make([]string, kinds)
	for i := range want {
		want[i] = compact(s.ask("/v1/completions", body(i)).at("choices"))
	}
	end := time.Now().Add(long)
	idle := min(int(long.Seconds())*10, 5000)
	for range idle { // connections that say nothing
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := map[string]int{}
	for w := range 16 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for time.Now().Before(end) {
				what := s.clientOf(rng, body, want)
				mu.Lock()
				count[what]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d idle connections; %v", idle, count)
	for _, what := range []string{"answer", "left", "nonsense"} {
		if count[what] == 0 {
			t.Errorf("no client's end was %q: %v", what, count)
		}
	}
	status, text := s.post("/v1/completions", body(0))
	if status != 200 || compact(parse(t, text).at("choices")) != want[0] {
		t.Errorf("at the end: %d %s", status, text)
	}
}

// clientOf is one client of some kind; it tells how it went.
func (s *testServer) clientOf(rng *rand.Rand, body func(int) string, want []string) string {
	i := rng.IntN(len(want))
	switch rng.IntN(8) {
	case 0: // leaves
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(30))*time.Millisecond)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, "POST", s.url+"/v1/completions", strings.NewReader(strings.Replace(body(i), "{", `{"stream":true,"n":2,`, 1)))
		r.Header.Set("Content-Type", "application/json")
		if a, err := http.DefaultClient.Do(r); err == nil {
			_, err = io.Copy(io.Discard, a.Body)
			if a.Body.Close(); err == nil {
				return "answer before it left"
			}
		}
		return "left"
	case 1: // nonsense
		text := []byte(body(i))
		for range 1 + rng.IntN(4) {
			text[rng.IntN(len(text))] = byte(rng.IntN(256))
		}
		if status, answer := s.post([]string{"/v1/completions", "/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat", "/tokenize"}[rng.IntN(6)], string(text)); status >= 500 {
			s.t.Errorf("%q: %d %s", text, status, answer)
		}
		return "nonsense"
	case 2: // reads slowly
		a, err := http.Post(s.url+"/v1/completions", "application/json", strings.NewReader(strings.Replace(body(i), "{", `{"stream":true,`, 1)))
		if err != nil {
			s.t.Error(err)
			return "error"
		}
		defer a.Body.Close()
		lines := bufio.NewScanner(a.Body)
		for n := 0; n < 5 && lines.Scan(); n++ {
			time.Sleep(time.Millisecond)
		}
		return "slow"
	}
	status, text := s.post("/v1/completions", body(i))
	switch status {
	case 429:
		return "refused"
	case 200:
		if got := compact(parse(s.t, text).at("choices")); got != want[i] {
			s.t.Errorf("request %d: %s\nwant %s", i, got, want[i])
		}
		return "answer"
	}
	s.t.Errorf("request %d: %d %s", i, status, text)
	return "error"
}
