package serve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"qpt/runtime"
	"qpt/runtime/encoder"
	"qpt/runtime/lm"
	"qpt/runtime/lm/calls"
	"qpt/runtime/lm/chat"
	"qpt/runtime/lm/tokenizer"
	"qpt/runtime/serve/sched"
)

// Model is a file to be served. It is given loaded, as a language model or as an encoder, or to be opened.
type Model struct {
	Name    string // in requests
	Aliases []string
	LM      *lm.Model
	Encoder *encoder.Model
	// Open gives the one or the other, which the server closes: by Server.Load, or when the model is first asked for.
	Open func() (*lm.Model, *encoder.Model, error)
}

// model is one that is served. What follows mu is there once it is loaded.
type model struct {
	name    string
	aliases []string
	born    time.Time
	open    func() (*lm.Model, *encoder.Model, error)
	loaded  atomic.Bool

	mu    sync.Mutex       // of loading and closing
	file  *runtime.Model   // of either kind
	lm    *lm.Model        // nil of an encoder
	enc   *encoder.Model   // nil of a language model
	sched *sched.Scheduler // of a language model
	batch *batcher         // of whole texts: of both kinds

	tok     *tokenizer.Tokenizer // nil when the file has none
	context int                  // tokens of a text
	vocab   int
	chat    chat.Template
	chatErr error // why the template cannot be used
	longest int   // bytes of a token's spelling
	// fingerprint names what an answer's bits depend on besides the request: the file, the release, the instructions, keys' and values' type.
	fingerprint string

	calls     *calls.Format    // how the model writes calls of tools; nil: it is not known
	reasoning *calls.Reasoning // and what it thinks; nil: it does not
}

// digest names the file by what is in it.
func (m *model) digest() []byte {
	h := sha256.New()
	for _, part := range m.file.File.Sections() {
		h.Write(part.SHA256[:])
	}
	return h.Sum(nil)
}

// load loads a model unless it is loaded.
func (s *Server) load(m *model) (err error) {
	if m.loaded.Load() {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loaded.Load() {
		return nil
	}
	if s.closing.Load() {
		return sched.ErrClosed
	}
	if m.open != nil {
		if m.lm, m.enc, err = m.open(); err != nil {
			return &apiError{status: http.StatusInternalServerError, kind: "server_error", code: "model_not_loaded", message: "the model " + m.name + " cannot be loaded: the server's log says why", cause: err}
		}
	}
	var run func(context.Context, []tokenizer.Encoding, string) ([][]float32, error)
	switch {
	case m.lm != nil && m.enc == nil:
		m.file, m.context = m.lm.Model, m.lm.Context()
		m.tok, m.chatErr = m.lm.Tokenizer()
	case m.enc != nil && m.lm == nil:
		m.file, m.context, run = m.enc.Model, m.enc.Meta.Model.Context, m.enc.Rows
		m.tok, _ = m.enc.Tokenizer()
		m.chatErr = encoder.ErrTask
	default:
		return fmt.Errorf("model %q: give a language model or an encoder", m.name)
	}
	m.vocab = m.file.Program().Vocab()
	if m.chatErr == nil {
		m.chat, m.chatErr = chat.Of(m.tok)
	}
	if m.tok != nil {
		for id := range int32(m.tok.VocabSize()) {
			if word, ok := m.tok.Token(id); ok {
				m.longest = max(m.longest, len(word))
			}
		}
	}
	o := s.opt.Sched
	o.Gate, o.Observer = s.gate, s.metrics.observer(m.name)
	if m.lm != nil {
		if m.tok != nil {
			if err := m.setFamily(m.tok.ChatTemplate(), &s.opt); err != nil {
				return err
			}
		}
		if o.Pinned, err = s.pin(m); err != nil {
			return err
		}
		m.fingerprint = "fp_" + hex.EncodeToString(s.hash(m, nil)[:6])
		m.sched = sched.New(m.lm, o)
		page := m.lm.KVPage()
		pages := m.lm.KVMemory() / max(m.lm.KVBytes(page, 1), 1)
		s.metrics.cacheConfig.WithLabelValues(m.name, strconv.Itoa(page), strconv.FormatInt(pages, 10)).Set(1)
		run = m.lastState
	}
	m.batch = newBatcher(run, m.file.PassRows, s.opt.Sched.TargetGap, s.gate)
	m.loaded.Store(true)
	return nil
}

// Load loads all models. Until then GET /ready fails, and requests for a model that is not loaded wait for it.
func (s *Server) Load() error {
	for _, m := range s.models {
		if err := s.load(m); err != nil {
			if e := asAPI(err); e.cause != nil { // for who operates the server, not for a client
				return e.cause
			}
			return err
		}
	}
	return nil
}

// close ends what runs and gives a model that the server opened back.
func (m *model) close(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.loaded.Load() {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { m.batch.close(ctx) })
	if m.sched != nil {
		wg.Go(func() { m.sched.Close(ctx) })
	}
	wg.Wait()
	if m.open != nil {
		m.file.Close()
	}
}

// work is how much there is to do for a model.
func (m *model) work() (l sched.Load) {
	if !m.loaded.Load() {
		return l
	}
	if m.sched != nil {
		l = m.sched.Load()
	}
	running, waiting := m.batch.load()
	l.Running += running
	l.Waiting += waiting
	return l
}

// setFamily decides how answers are read: as the options say, else as the template's family writes them.
func (m *model) setFamily(template string, opt *Options) (err error) {
	m.calls, m.reasoning = calls.ForTemplate(template), calls.ReasoningForTemplate(template)
	if opt.ToolParser != "" {
		if m.calls, err = calls.Named(opt.ToolParser, template); err != nil {
			return err
		}
	}
	if opt.ReasoningParser != "" {
		m.reasoning, err = calls.ReasoningNamed(opt.ReasoningParser)
	}
	return err
}

// names are all by which a request may ask for the model.
func (m *model) names() []string { return append([]string{m.name}, m.aliases...) }

// named returns the model of a name, which may not be loaded; "" is the first.
func (s *Server) named(name string) (*model, error) {
	if name == "" {
		return s.models[0], nil
	}
	if m := s.byName[name]; m != nil {
		return m, nil
	}
	return nil, &apiError{status: 404, kind: "invalid_request_error", code: "model_not_found", param: "model",
		message: fmt.Sprintf("the model %.100q does not exist; GET /v1/models lists those there are", name)}
}

// find returns the model of a name, loaded.
func (s *Server) find(name string) (*model, error) {
	m, err := s.named(name)
	if err == nil {
		err = s.load(m)
	}
	return m, err
}

// generator is find for what only language models do.
func (s *Server) generator(name string) (*model, error) {
	m, err := s.find(name)
	if err == nil && m.lm == nil {
		err = refuse("model", "the model %s reads whole texts and writes none: it is for /v1/embeddings, /rerank, /score or /classify", m.name)
	}
	return m, err
}

var byteToken = regexp.MustCompile(`^<0x[0-9A-F]{2}>$`)

// bytes are what a token adds to a text, special ones their spelling.
func (m *model) bytes(id int32) []byte {
	word, ok := m.tok.Token(id)
	if !ok {
		return nil
	}
	if byteToken.MatchString(word) {
		b, _ := strconv.ParseUint(word[3:5], 16, 8)
		return []byte{byte(b)}
	}
	s := m.tok.NewStream(false)
	s.Next(id) // behind a beginning, where leading spaces count
	text := s.Next(id) + s.Flush()
	if !strings.ContainsRune(text, '\uFFFD') {
		return []byte(text)
	}
	return byteLevel(word)
}

// byteLevel spells a token of GPT-2's alphabet as bytes.
func byteLevel(word string) (b []byte) {
	for _, r := range word {
		switch {
		case r >= '!' && r <= '~', r >= '¡' && r <= '¬', r >= '®' && r <= 'ÿ':
			b = append(b, byte(r))
		case r >= 0x100 && r <= 0x120: // 0 to 0x20
			b = append(b, byte(r-0x100))
		case r >= 0x121 && r <= 0x142: // 0x7f to 0xa0
			b = append(b, byte(r-0x121+0x7f))
		case r == 0x143:
			b = append(b, 0xad)
		default:
			b = append(b, string(r)...)
		}
	}
	return b
}

// as is the name by which a request asked for the model.
func (m *model) as(asked string) string {
	if asked == "" {
		return m.name
	}
	return asked
}
