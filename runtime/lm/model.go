// Package lm runs language models: tokens in, logits and texts out.
//
//	m, err := lm.Load("model.da8w4.qpt", runtime.Options{})
//	if err != nil { ... }
//	defer m.Close()
//	for tok, err := range m.Generate(ctx, "Once upon a time", lm.GenerateOptions{MaxTokens: 100}) {
//		if err != nil { ... }
//		fmt.Print(tok.Text)
//	}
//
// A Model may be used from several goroutines. A Session is one conversation (a
// KV cache) and belongs to one goroutine at a time.
package lm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"qpt/format"
	"qpt/format/graph"
	"qpt/runtime"
	"qpt/runtime/lm/constrain"
	"qpt/runtime/lm/tokenizer"
)

// ErrNoTokenizer is returned by calls that need text when the file holds no tokenizer.
var ErrNoTokenizer = errors.New("the file holds no tokenizer: give token ids instead of text")

// Model is a loaded language model.
type Model struct {
	*runtime.Model

	tok     *tokenizer.Tokenizer // nil when the file has none
	vocab   int
	context int

	constraints struct {
		once  sync.Once
		cache constrain.Cache
	}
}

// Load maps a file and plans its execution; see runtime.Load.
func Load(path string, opt runtime.Options) (*Model, error) {
	r, err := runtime.Load(path, opt)
	if err != nil {
		return nil, err
	}
	m, err := New(r, opt.Context)
	if err != nil {
		r.Close()
		return nil, err
	}
	return m, nil
}

// New makes a language model of a loaded file whose graph takes tokens and gives
// logits. context is the number of positions of a new session; 0: the model's own limit, 4096 at most.
func New(r *runtime.Model, context int) (*Model, error) {
	if err := Check(r.Graph); err != nil {
		return nil, fmt.Errorf("%w: %s is no language model: %w; an encoder is for qrun embed or classify, any program for qrun run (runtime.Model.Run)", format.ErrUnsupported, r.File.Path(), err)
	}
	m := &Model{Model: r, vocab: r.Program().OutputWidth(), context: context}
	blob, err := runtime.Section(r.File, format.KindTokenizer)
	if err == nil {
		if m.tok, err = tokenizer.Load(blob); err != nil {
			class := format.ErrCorrupt
			if errors.Is(err, tokenizer.ErrUnsupported) {
				class = format.ErrUnsupported
			}
			return nil, fmt.Errorf("%w: %s: section %q: %w", class, r.File.Path(), "tokenizer", err)
		}
	} else if !errors.Is(err, format.ErrMissing) {
		return nil, err
	}
	for _, id := range append([]int{r.Meta.Model.BOS}, r.Meta.Model.EOS...) {
		if id >= m.vocab {
			return nil, fmt.Errorf("%w: %s: section %q: token %d begins or ends texts, the graph has %d", format.ErrCorrupt, r.File.Path(), "meta", id, m.vocab)
		}
	}
	if m.context <= 0 {
		m.context = 4096
		if n := r.Meta.Model.Context; n > 0 {
			m.context = min(n, 4096)
		}
	}
	return m, nil
}

// Check says what a graph lacks of a language model's, which takes tokens and gives logits.
func Check(g *graph.Graph) error {
	for _, in := range g.Inputs {
		switch in.Name {
		case "ids", "pos", "rows":
		default:
			return fmt.Errorf("its graph takes %q", in.Name)
		}
	}
	if len(g.Outputs) != 1 {
		return fmt.Errorf("its graph has %d outputs", len(g.Outputs))
	}
	out := g.ValueMap()[g.Outputs[0]]
	if len(out.Shape) != 2 || out.DType != graph.Float || out.Shape[0] >= 0 || g.Symbols[-1-out.Shape[0]] != "R" {
		return fmt.Errorf("its output %q is %s %s, logits are f32 [R, V]", out.Name, out.DType, g.ShapeString(out.Shape))
	}
	return nil
}

// Vocab is the number of logits of a token.
func (m *Model) Vocab() int { return m.vocab }

// Context is the number of positions of a new session.
func (m *Model) Context() int { return m.context }

// Tokenizer returns the file's tokenizer or ErrNoTokenizer.
func (m *Model) Tokenizer() (*tokenizer.Tokenizer, error) {
	if m.tok == nil {
		return nil, ErrNoTokenizer
	}
	return m.tok, nil
}

// Constraints returns the languages that texts can be kept within, over the model's vocabulary:
//
//	cache, err := m.Constraints()
//	g, err := cache.Compile(constrain.Spec{Schema: schema})
//	opt.Constraint = g.Start()
func (m *Model) Constraints() (*constrain.Cache, error) {
	if m.tok == nil {
		return nil, ErrNoTokenizer
	}
	if !m.tok.ByBytes() {
		return nil, fmt.Errorf("%w: constrained texts: the tokenizer's decoder makes the text of a token depend on others", format.ErrUnsupported)
	}
	c := &m.constraints
	c.once.Do(func() {
		eos := make([]int32, len(m.Meta.Model.EOS))
		for i, id := range m.Meta.Model.EOS {
			eos[i] = int32(id)
		}
		c.cache.Vocab = constrain.NewVocab(m.vocab, func(id int32) []byte {
			if word, special := m.tok.Skipped(id); special {
				return []byte(constrain.Special + word)
			}
			b := m.tok.Bytes(id)
			if bytes.Contains(b, []byte(constrain.Special)) { // no text has that byte
				return nil
			}
			return b
		}, eos)
	})
	return &c.cache, nil
}

// Forward runs ids as a new sequence, however long, and returns the logits
// [len(ids)][V] of every position.
func (m *Model) Forward(ctx context.Context, ids []int32) ([]float32, error) {
	out := make([]float32, 0, len(ids)*m.vocab)
	err := m.Each(ctx, ids, func(_ int, logits []float32) { out = append(out, logits...) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// eachBytes bounds the logits of one pass of Each.
const eachBytes = 64 << 20

// Each runs ids as a new sequence and calls visit with the logits [V] of every
// position in turn; they are valid until it returns.
func (m *Model) Each(ctx context.Context, ids []int32, visit func(pos int, logits []float32)) error {
	seq := m.NewSequence(len(ids))
	defer seq.Close()
	for len(ids) > seq.Len() {
		at := seq.Len()
		n := min(len(ids)-at, m.PassRows(), max(eachBytes/(4*m.vocab), 1))
		rows := make([]int32, n)
		for i := range rows {
			rows[i] = int32(i)
		}
		b := graph.Batch{
			Parts:  []graph.Part{{Seq: seq, N: n, Rows: rows, End: len(ids)}},
			Inputs: map[string]graph.Tensor{"ids": {Shape: []int{n}, I: ids[at : at+n]}},
		}
		err := m.Pass(ctx, m.Program(), &b, func(out []graph.Tensor) error {
			for i := range n {
				visit(at+i, out[0].F[i*m.vocab:(i+1)*m.vocab])
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
