// Package runtime loads .qpt files and runs them.
//
//	m, err := runtime.Load("model.da8w4.qpt", runtime.Options{})
//	if err != nil { ... }
//	defer m.Close()
//	for tok, err := range m.Generate(ctx, "Once upon a time", runtime.GenerateOptions{MaxTokens: 100}) {
//		if err != nil { ... }
//		fmt.Print(tok.Text)
//	}
//
// A Model maps its file: weights are used where they lie, and every slice that
// comes from them ends with Close. A Model may be used from several goroutines;
// its calls take turns on the cores. A Session is one conversation (a KV cache)
// and belongs to one goroutine at a time.
//
// If the mapped file is truncated while it is in use, the call that touches a
// lost page returns ErrLost and the process lives on.
package runtime

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"qpt/format"
	"qpt/format/graph"
	"qpt/internal/par"
	"qpt/kernels"
	"qpt/runtime/exec"
	"qpt/runtime/lm/tokenizer"
)

// ErrLost is returned when mapped weights can no longer be read.
var ErrLost = format.ErrLost

// ErrNoTokenizer is returned by calls that need text when the file holds no tokenizer.
var ErrNoTokenizer = errors.New("the file holds no tokenizer: give token ids instead of text")

// Options of Load; the zero value suits most uses.
type Options struct {
	Threads int    // cores to use; 0: all that the process may use
	Context int    // positions of a session's KV cache; 0: the model's own limit, 4096 at most
	Batch   int    // prompt tokens a pass; 0: 512
	KV      string // keys and values as "f32", "bf16" or "int8"; "": f32 for an f32 model, else bf16
	// Tuning names a file of measured kernel times (see TuningPath): shapes of
	// layers that it lacks are measured, in some ten milliseconds each, and added. "": kernels
	// are chosen by rule. Results are the same bits. Retune measures again.
	Tuning string
	Retune bool
}

// Model is a loaded .qpt file.
type Model struct {
	File  *format.File
	Meta  format.Meta
	Graph *graph.Graph

	opt   Options
	kv    kernels.KVType
	w     *weights
	prog  *exec.Program
	tok   *tokenizer.Tokenizer // nil when the file has none
	pool  *par.Pool
	turn  sync.Mutex // one pass at a time on the cores
	vocab int

	layers    []namedLayer
	tuned     []*kernels.Tuning
	tuningErr error
}

// Load maps a file and plans its execution. Errors about the file's contents
// match format.ErrCorrupt or format.ErrUnsupported.
func Load(path string, opt Options) (m *Model, err error) {
	f, err := format.Open(path)
	if err != nil {
		return nil, err
	}
	m = &Model{File: f, opt: opt}
	defer func() {
		if err != nil {
			m.Close()
			m = nil
		}
	}()
	defer catch(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	if m.Meta, err = f.Meta(); err != nil {
		return m, err
	}
	blob, err := section(f, format.KindGraph)
	if err != nil {
		return m, err
	}
	if m.Graph, err = graph.Unmarshal(blob); err != nil {
		return m, fmt.Errorf("%w: %s: section %q: %w", format.ErrCorrupt, path, "graph", err)
	}
	if blob, err = section(f, format.KindTokenizer); err == nil {
		if m.tok, err = tokenizer.Load(blob); err != nil {
			return m, fmt.Errorf("%w: %s: section %q: %w", format.ErrCorrupt, path, "tokenizer", err)
		}
	} else if !errors.Is(err, format.ErrMissing) {
		return m, err
	}
	if m.w, err = newWeights(f, opt.Threads); err != nil {
		return m, err
	}
	rec := &recorder{weights: m.w}
	if m.prog, err = exec.Compile(m.Graph, rec, exec.Options{}); err != nil {
		if errors.Is(err, format.ErrCorrupt) { // its weights
			return m, err
		}
		return m, fmt.Errorf("%w: %s: section %q: %w", format.ErrUnsupported, path, "graph", err)
	}
	if err := m.w.checkStatic(m.Graph); err != nil {
		return m, err
	}
	m.layers = rec.layers
	if opt.Tuning != "" {
		m.tuningErr = m.tune(opt.Tuning, opt.Retune)
	}
	m.vocab = m.prog.OutputWidth()
	for _, id := range append([]int{m.Meta.Model.BOS}, m.Meta.Model.EOS...) {
		if id >= m.vocab {
			return m, fmt.Errorf("%w: %s: section %q: token %d begins or ends texts, the graph has %d", format.ErrCorrupt, path, "meta", id, m.vocab)
		}
	}
	if m.opt.Context <= 0 {
		m.opt.Context = 4096
		if n := m.Meta.Model.Context; n > 0 {
			m.opt.Context = min(n, 4096)
		}
	}
	m.kv = kernels.KVBF16
	if opt.KV != "" {
		if m.kv, err = kernels.ParseKV(opt.KV); err != nil {
			return m, err
		}
	} else if m.Meta.Recipe.Scheme == "f32" {
		m.kv = kernels.KVF32
	}
	m.pool = par.New(opt.Threads)
	return m, nil
}

// section returns the bytes of the only section of a kind.
func section(f *format.File, kind format.Kind) ([]byte, error) {
	i, err := f.Section(kind.String())
	if err != nil {
		return nil, err
	}
	return f.Data(i)
}

// Close stops the workers and unmaps the file; no call may be in progress.
func (m *Model) Close() error {
	if m.pool != nil {
		m.pool.Close()
	}
	return m.File.Close()
}

// Vocab is the number of logits of a token.
func (m *Model) Vocab() int { return m.vocab }

// Tuning returns the measurements that kernels are chosen by, one for each
// shape of layer with a choice, and why they could not be kept, if so.
func (m *Model) Tuning() ([]*kernels.Tuning, error) { return m.tuned, m.tuningErr }

// Context is the number of positions of a new session.
func (m *Model) Context() int { return m.opt.Context }

// KV names the storage of keys and values.
func (m *Model) KV() string { return m.kv.String() }

// Threads is the number of cores in use.
func (m *Model) Threads() int { return m.pool.Workers() }

// Tokenizer returns the file's tokenizer or ErrNoTokenizer.
func (m *Model) Tokenizer() (*tokenizer.Tokenizer, error) {
	if m.tok == nil {
		return nil, ErrNoTokenizer
	}
	return m.tok, nil
}

// Tensors returns the tensor directory.
func (m *Model) Tensors() []*format.Tensor {
	var list []*format.Tensor
	for _, p := range m.Graph.Params {
		if t := m.w.byName[p.Name]; t != nil {
			list = append(list, t)
		}
	}
	return list
}

// Session is one sequence with its KV cache.
type Session struct {
	m *Model
	s *exec.State
}

// NewSession starts an empty sequence. Its KV cache takes memory as it fills.
func (m *Model) NewSession() (*Session, error) { return m.session(m.opt.Context) }

func (m *Model) session(context int) (*Session, error) {
	s, err := m.prog.NewState(m.pool, exec.StateOptions{Context: context, Batch: m.opt.Batch, KV: m.kv})
	if err != nil {
		return nil, err
	}
	return &Session{m, s}, nil
}

// Len is the number of tokens in the sequence.
func (s *Session) Len() int { return s.s.Len() }

// Truncate forgets the tokens from position n on.
func (s *Session) Truncate(n int) { s.s.Truncate(n) }

// Append runs ids at the end of the sequence and returns the logits [V] that
// follow the last of them, valid until the next call.
func (s *Session) Append(ctx context.Context, ids []int32) ([]float32, error) {
	return s.run(ctx, ids, false)
}

func (s *Session) run(ctx context.Context, ids []int32, all bool) (logits []float32, err error) {
	s.m.turn.Lock()
	defer s.m.turn.Unlock()
	defer catch(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return s.s.Run(ctx, ids, all)
}

// Forward runs ids as a new sequence, however long, and returns the logits
// [len(ids)][V] of every position.
func (m *Model) Forward(ctx context.Context, ids []int32) ([]float32, error) {
	out := make([]float32, 0, len(ids)*m.vocab)
	err := m.each(ctx, ids, func(_ int, logits []float32) { out = append(out, logits...) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// each runs ids as a new sequence and calls visit with the logits [V] of every
// position in turn; they are valid until it returns.
func (m *Model) each(ctx context.Context, ids []int32, visit func(pos int, logits []float32)) error {
	if len(ids) == 0 {
		return nil
	}
	s, err := m.session(len(ids))
	if err != nil {
		return err
	}
	for at, n := 0, 0; at < len(ids); at += n {
		n = min(len(ids)-at, s.s.Batch())
		logits, err := s.run(ctx, ids[at:at+n], true)
		if err != nil {
			return err
		}
		for i := range n {
			visit(at+i, logits[i*m.vocab:(i+1)*m.vocab])
		}
	}
	return nil
}

// catch turns a fault on mapped memory, here or in a worker, into ErrLost; other panics go on.
func catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case *par.Panic:
		if format.IsFault(r.Value) {
			*err = ErrLost
			return
		}
		panic(r)
	default:
		if format.IsFault(r) {
			*err = ErrLost
			return
		}
		panic(r)
	}
}
