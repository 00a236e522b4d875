package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"qpt/runtime/serve/page"
	"qpt/runtime/serve/sched"
)

// Options of New; the zero value serves whoever comes, which is for who listens where only he comes.
type Options struct {
	Keys    []string // of the API, any of which must be given; none: no authentication
	Hosts   []string // that a request may be for, without ports; none: any. Guards a server on loopback against names that lead to it
	Origins []string // of web pages that may call (CORS); none: no page of another origin

	Sched       sched.Options // Observer, Gate and Pinned are the server's own
	Pinned      []string      // system prompts whose beginnings of conversations are kept for all keys
	PinDir      string        // folder in which they are kept over restarts; "": none
	MaxBody     int64         // bytes of a request; 0: 32 MiB
	ReadTimeout time.Duration // for the whole body; 0: 30 s
	// WriteTimeout is how long a client may leave what is written to it unread; 0: 30 s.
	WriteTimeout time.Duration
	// FirstUse leaves models to be opened until they are asked for: GET /ready does not wait for them.
	FirstUse bool
	// ToolParser and ReasoningParser are how models write calls of tools and what they think, by vLLM's names; "": as the chat
	// template's family does.
	ToolParser, ReasoningParser string
	Metrics                     string // prefix of metrics; "": qpt
	Version                     string
	Log                         *slog.Logger // nil: nothing is logged
}

// Server serves models over HTTP.
type Server struct {
	opt     Options
	models  []*model
	byName  map[string]*model
	keys    []key
	metrics *metrics
	mux     *http.ServeMux
	gate    chan struct{} // one pass at a time
	closing atomic.Bool
	quit    context.Context // ends with Close
	end     context.CancelFunc
	kept    keptResponses
}

// New makes a server of at least one model. Those that are given loaded stay the caller's, the others are loaded by Load.
func New(models []Model, opt Options) (*Server, error) {
	if len(models) == 0 {
		return nil, errors.New("no models to serve")
	}
	if opt.MaxBody <= 0 {
		opt.MaxBody = 32 << 20
	}
	if opt.ReadTimeout <= 0 {
		opt.ReadTimeout = 30 * time.Second
	}
	if opt.WriteTimeout <= 0 {
		opt.WriteTimeout = 30 * time.Second
	}
	if opt.Sched.TargetGap <= 0 {
		opt.Sched.TargetGap = sched.DefaultGap
	}
	if opt.Metrics == "" {
		opt.Metrics = "qpt"
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{opt: opt, byName: map[string]*model{}, mux: http.NewServeMux()}
	s.quit, s.end = context.WithCancel(context.Background())
	var err error
	if s.keys, err = hashKeys(opt.Keys); err != nil {
		return nil, err
	}
	s.gate = make(chan struct{}, 1)
	for _, m := range models {
		n := &model{name: m.Name, aliases: m.Aliases, lm: m.LM, enc: m.Encoder, open: m.Open, born: time.Now()}
		for _, name := range n.names() {
			switch {
			case name == "":
				return nil, errors.New("a model without a name")
			case s.byName[name] != nil:
				return nil, fmt.Errorf("two models are called %q: give one of them another name (--alias)", name)
			}
			s.byName[name] = n
		}
		s.models = append(s.models, n)
	}
	s.metrics = newMetrics(s)
	for _, m := range s.models {
		if m.open == nil {
			if err := s.load(m); err != nil {
				return nil, err
			}
		}
	}
	s.routes()
	return s, nil
}

// routes lists the endpoints.
func (s *Server) routes() {
	s.mux.Handle("GET /{$}", page.Handler())
	s.mux.HandleFunc("GET /health", s.health)
	s.mux.HandleFunc("GET /ready", s.ready)
	s.mux.HandleFunc("GET /version", s.version)
	s.mux.Handle("GET /metrics", s.metrics.handler())
	for _, path := range []string{"/{$}", "/health", "/ready", "/version", "/metrics"} {
		s.only("GET", path)
	}
	s.get("/v1/models", s.listModels)
	s.get("/v1/models/{id...}", s.getModel)
	s.post("/v1/completions", s.completions)
	s.post("/v1/chat/completions", s.chatCompletions)
	s.post("/v1/responses", s.responses)
	s.mux.HandleFunc("POST /v1/responses/input_tokens", s.answer(openAIError, true, s.responsesCount)) // GET is that of a response
	s.get("/v1/responses/{id}", s.getResponse)
	s.get("/v1/responses/{id}/input_items", s.responseInput)
	s.mux.HandleFunc("DELETE /v1/responses/{id}", s.answer(openAIError, false, s.deleteResponse))
	s.mux.HandleFunc("POST /v1/responses/{id}/cancel", s.answer(openAIError, false, s.cancelResponse))
	s.only("POST", "/v1/responses/{id}/cancel")
	s.post("/v1/embeddings", s.embeddings)
	s.post("/pooling", s.pooling)
	for _, path := range []string{"/rerank", "/v1/rerank", "/v2/rerank"} {
		s.post(path, s.rerank)
	}
	s.post("/score", s.score)
	s.post("/v1/score", s.score)
	s.post("/classify", s.classify)
	s.post("/v1/messages", s.anthropicMessages)
	s.post("/v1/messages/count_tokens", s.anthropicCount)
	s.post("/api/chat", s.ollamaChat)
	s.post("/api/generate", s.ollamaGenerate)
	s.post("/api/embed", s.ollamaEmbed)
	s.post("/api/embeddings", s.ollamaEmbedding)
	s.post("/api/show", s.ollamaShow)
	s.get("/api/tags", s.ollamaTags)
	s.get("/api/ps", s.ollamaRunning)
	s.get("/api/version", s.ollamaVersion)
	for _, path := range []string{"/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete"} {
		s.mux.HandleFunc(path, s.answer(shapeOf(path), false, s.ollamaFixed))
	}
	s.post("/tokenize", s.tokenize)
	s.post("/detokenize", s.detokenize)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &apiError{status: 404, kind: "invalid_request_error", code: "not_found", message: "there is no " + r.URL.Path}, shapeOf(r.URL.Path))
	})
}

// call is a request being answered.
type call struct {
	w    http.ResponseWriter
	r    *http.Request
	body []byte // of a POST
	key  string // names the API key, "" without keys
	cut  bool   // a prompt longer than the context is no error: truncate_prompt_tokens
	// names are what parameters are called that chats call messages and response_format.
	names map[string]string
	note  *note
}

func (c *call) ctx() context.Context { return c.r.Context() }

// note is what the log says of a request.
type note struct {
	mu     sync.Mutex
	model  string
	prompt int
	output int
	err    error
}

type noteKey struct{}

func (s *Server) post(path string, f func(c *call) error) {
	s.mux.HandleFunc("POST "+path, s.answer(shapeOf(path), true, f))
	s.only("POST", path)
}

func (s *Server) get(path string, f func(c *call) error) {
	s.mux.HandleFunc("GET "+path, s.answer(shapeOf(path), false, f))
	s.only("GET", path)
}

// only refuses other methods of a path.
func (s *Server) only(method, path string) {
	s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", method)
		writeError(w, &apiError{status: 405, kind: "invalid_request_error", code: "method_not_allowed", message: r.URL.Path + " takes " + method}, shapeOf(path))
	})
}

// answer makes a handler of an endpoint.
func (s *Server) answer(as shape, body bool, f func(c *call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: w, r: r, key: keyOf(r)}
		c.note, _ = r.Context().Value(noteKey{}).(*note)
		if c.note == nil {
			c.note = &note{}
		}
		var err error
		if body {
			c.body, err = s.readBody(w, r)
		}
		if err == nil {
			err = guarded(c, f)
		}
		if err != nil {
			e := asAPI(err)
			if name, ok := c.names[e.param]; ok {
				e.param = name
			}
			c.note.err = e
			if seen, ok := w.(*statusWriter); !ok || !seen.began {
				writeError(w, e, as)
			}
		}
	}
}

// guarded turns a panic into an error.
func guarded(c *call, f func(c *call) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if r == http.ErrAbortHandler {
				panic(r)
			}
			err = fmt.Errorf("%v\n%s", r, debug.Stack())
		}
	}()
	return f(c)
}

// Handler answers requests.
func (s *Server) Handler() http.Handler {
	return s.logged(s.allowed(s.mux))
}

// Drain makes GET /ready fail, so that no new requests are sent here; those that come are still answered.
func (s *Server) Drain() { s.closing.Store(true) }

// Close takes no more requests and lets those that are there come to their ends, or until ctx ends.
func (s *Server) Close(ctx context.Context) {
	s.Drain()
	s.end()
	var wg sync.WaitGroup
	for _, m := range s.models {
		wg.Go(func() { m.close(ctx) })
	}
	wg.Wait()
}
