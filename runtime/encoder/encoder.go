// Package encoder runs models that read whole texts: embeddings, classes of texts or of tokens,
// scores of pairs.
//
//	m, err := encoder.Load("all-MiniLM-L6-v2.da8w8.qpt", runtime.Options{})
//	if err != nil { ... }
//	defer m.Close()
//	vectors, err := m.Embed(ctx, []string{"A man is eating food.", "The girl is carrying a baby."})
//
// Texts run many in one pass, one after the other without padding, longest first; each gives the
// bits that it gives alone. A Model may be used from several goroutines.
package encoder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"qpt/format"
	"qpt/format/graph"
	"qpt/internal/par"
	"qpt/runtime"
	"qpt/runtime/lm/tokenizer"
)

// ErrNoTokenizer is returned by calls that need text when the file holds no tokenizer.
var ErrNoTokenizer = errors.New("the file holds no tokenizer: run it by its named inputs (runtime.Model.Run, qrun run)")

// TypeIDs is the name of the input of token types.
const TypeIDs = "token_type_ids"

// ErrTask is matched by errors of calls for what the model does not do.
var ErrTask = errors.New("the model does not do this")

// Names of outputs that this package looks for.
const (
	Embedding = "sentence_embedding" // f32 [S, D]
	Logits    = "logits"             // f32 [S, labels] of texts or [R, labels] of tokens
	Scores    = "scores"             // what the logits mean as shares, where the checkpoint says so
)

// Input is a text, or two that belong together, such as a question and a passage.
type Input struct {
	Text string
	Pair string // "": none
}

// Model is a loaded encoder.
type Model struct {
	*runtime.Model

	tok   *tokenizer.Tokenizer // nil when the file has none
	types bool                 // it reads token types
}

// Load maps a file and plans its execution; see runtime.Load.
func Load(path string, opt runtime.Options) (*Model, error) {
	r, err := runtime.Load(path, opt)
	if err != nil {
		return nil, err
	}
	m, err := New(r)
	if err != nil {
		r.Close()
		return nil, err
	}
	return m, nil
}

// New makes an encoder of a loaded file, whose graph takes tokens and sees all of a text at once.
func New(r *runtime.Model) (*Model, error) {
	if err := Check(r.Graph); err != nil {
		return nil, fmt.Errorf("%w: %s is no encoder of texts: %w", format.ErrUnsupported, r.File.Path(), err)
	}
	m := &Model{Model: r, types: slices.ContainsFunc(r.Graph.Inputs, func(in graph.Value) bool { return in.Name == TypeIDs })}
	blob, err := runtime.Section(r.File, format.KindTokenizer)
	switch {
	case errors.Is(err, format.ErrMissing):
		return m, nil
	case err != nil:
		return nil, err
	}
	if m.tok, err = tokenizer.Load(blob); err != nil {
		class := format.ErrCorrupt
		if errors.Is(err, tokenizer.ErrUnsupported) {
			class = format.ErrUnsupported
		}
		return nil, fmt.Errorf("%w: %s: section %q: %w", class, r.File.Path(), "tokenizer", err)
	}
	return m, nil
}

// Check says what a graph lacks of an encoder's, which takes tokens and sees all of a text at once.
func Check(g *graph.Graph) error {
	for _, in := range g.Inputs {
		switch in.Name {
		case "ids", "pos", "rows", TypeIDs:
		default:
			return fmt.Errorf("its graph takes %q", in.Name)
		}
	}
	for i := range g.Nodes {
		switch op := g.Nodes[i].Op.(type) {
		case graph.Attention:
			if op.Cache == "" {
				return nil
			}
		case graph.SequencePool:
			return nil
		}
	}
	return errors.New("tokens do not see those behind them")
}

// Result is the output of a graph that Check found to be an encoder's which tells most of it: its logits or embedding, else the first.
// Logits are over classes, where there are several.
func Result(g *graph.Graph) (name string, classes bool) {
	if slices.Contains(g.Outputs, Logits) {
		s := g.ValueMap()[Logits].Shape
		return Logits, s[len(s)-1] > 1
	}
	if slices.Contains(g.Outputs, Embedding) {
		return Embedding, false
	}
	return g.Outputs[0], false
}

// Tokenizer returns the file's tokenizer or ErrNoTokenizer.
func (m *Model) Tokenizer() (*tokenizer.Tokenizer, error) {
	if m.tok == nil {
		return nil, ErrNoTokenizer
	}
	return m.tok, nil
}

// Labels are the names of a classifier's labels, in the order of its scores.
func (m *Model) Labels() []string { return m.Meta.Model.Labels }

// Encode returns the tokens of an input, cut to the longest text that the model takes.
func (m *Model) Encode(ctx context.Context, in Input) (tokenizer.Encoding, error) {
	tok, err := m.Tokenizer()
	if err != nil {
		return tokenizer.Encoding{}, err
	}
	o := tokenizer.EncodeOptions{MaxLength: m.Meta.Model.Context}
	if in.Pair != "" {
		return tok.EncodePair(ctx, in.Text, in.Pair, o)
	}
	return tok.EncodeText(ctx, in.Text, o)
}

// Embed returns the embedding [D] of each text.
func (m *Model) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	if _, _, err := m.output(Embedding, "S"); err != nil {
		return nil, err
	}
	list := make([]Input, len(texts))
	for i, t := range texts {
		list[i].Text = t
	}
	encodings, err := m.encodeAll(ctx, list)
	if err != nil {
		return nil, err
	}
	return m.Rows(ctx, encodings, Embedding)
}

// Classify returns the scores [labels] of each input, as the checkpoint says that they are made of
// its logits; a cross-encoder's only score, for one.
func (m *Model) Classify(ctx context.Context, in []Input) ([][]float32, error) {
	name, _, err := m.Classes()
	if err != nil {
		return nil, err
	}
	encodings, err := m.encodeAll(ctx, in)
	if err != nil {
		return nil, err
	}
	return m.Rows(ctx, encodings, name)
}

// Classes is the output that has the classes of texts, their scores where the checkpoint says how they are made, and
// how many there are.
func (m *Model) Classes() (output string, labels int, err error) {
	if output, labels, err = m.output(Scores, "S"); err != nil {
		output, labels, err = m.output(Logits, "S")
	}
	return output, labels, err
}

// Width is the number of values of an embedding, 0 if the model makes none.
func (m *Model) Width() int { _, n, _ := m.output(Embedding, "S"); return n }

// Tokens is an input's tokens with the scores of each.
type Tokens struct {
	tokenizer.Encoding
	Scores [][]float32 // [T][labels]
}

// ClassifyTokens returns the scores of each token of each input.
func (m *Model) ClassifyTokens(ctx context.Context, in []Input) ([]Tokens, error) {
	name, width, err := m.output(Scores, "R")
	if err != nil {
		return nil, err
	}
	encodings, err := m.encodeAll(ctx, in)
	if err != nil {
		return nil, err
	}
	rows, err := m.Rows(ctx, encodings, name)
	list := make([]Tokens, len(rows))
	for i, row := range rows {
		list[i].Encoding = encodings[i]
		for t := range encodings[i].IDs {
			list[i].Scores = append(list[i].Scores, row[t*width:(t+1)*width])
		}
	}
	return list, err
}

// PerToken tells whether the model classifies tokens, not texts.
func (m *Model) PerToken() bool { _, _, err := m.output(Scores, "R"); return err == nil }

// output finds an output whose rows count this symbol, and its width.
func (m *Model) output(name, symbol string) (string, int, error) {
	g := m.Graph
	if slices.Contains(g.Outputs, name) {
		s := g.ValueMap()[name].Shape
		if len(s) == 2 && s[0] < 0 && g.Symbols[-1-s[0]] == symbol {
			return name, int(s[1]), nil
		}
	}
	return "", 0, fmt.Errorf("%w: %s gives %q, not %s for each %s", ErrTask, m.File.Path(), g.Outputs, name, map[string]string{"S": "text", "R": "token"}[symbol])
}

func (m *Model) encodeAll(ctx context.Context, in []Input) ([]tokenizer.Encoding, error) {
	list, errs := make([]tokenizer.Encoding, len(in)), make([]error, len(in))
	par.For(m.Threads(), len(in), func(_, i int) { list[i], errs[i] = m.Encode(ctx, in[i]) })
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("text %d: %w", i, err)
		}
		if len(list[i].IDs) == 0 {
			return nil, fmt.Errorf("text %d is empty: it has no tokens", i)
		}
	}
	return list, nil
}

// Rows runs texts of tokens and returns of each the rows of an output, flat: one of an output for
// each text, as many as tokens of one for each token. Neighbours in a pass are of like length.
func (m *Model) Rows(ctx context.Context, texts []tokenizer.Encoding, output string) ([][]float32, error) {
	g := m.Graph
	at := slices.Index(g.Outputs, output)
	if at < 0 {
		return nil, fmt.Errorf("%w: %s gives %q, not %s", ErrTask, m.File.Path(), g.Outputs, output)
	}
	shape := g.ValueMap()[output].Shape
	if len(shape) != 2 || shape[0] >= 0 {
		return nil, fmt.Errorf("%w: %s: output %s %s has no rows of texts", ErrTask, m.File.Path(), output, g.ShapeString(shape))
	}
	each := g.Symbols[-1-shape[0]] == "R"
	order := make([]int, len(texts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(texts[b].IDs), len(texts[a].IDs)) })
	out := make([][]float32, len(texts))
	take := func(list []int, tensors []graph.Tensor) error {
		y := tensors[at].F
		for _, i := range list {
			k := int(shape[1])
			if each {
				k *= len(texts[i].IDs)
			}
			out[i] = slices.Clone(y[:k])
			y = y[k:]
		}
		return nil
	}
	for len(order) > 0 {
		var lists [][]int
		lists, order = m.share(texts, order)
		batches := make([]graph.Batch, len(lists))
		for i, list := range lists {
			batches[i] = m.batch(texts, list, each)
		}
		var err error
		if len(batches) == 1 {
			err = m.Pass(ctx, m.Program(), &batches[0], func(y []graph.Tensor) error { return take(lists[0], y) })
		} else {
			err = m.Passes(ctx, m.Program(), batches, func(i int, y []graph.Tensor) error { return take(lists[i], y) })
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Texts are shared out among cores where each gets aloneRows tokens, in batches of at most about coreRows, whose values a core's second-level cache holds.
const (
	aloneRows = 48
	coreRows  = 192
)

// share takes the texts of the next turn off the front of order: one batch for all cores together, or several for one core each, about as long as each other.
func (m *Model) share(texts []tokenizer.Encoding, order []int) (lists [][]int, rest []int) {
	cores, most, n, rows := m.Threads(), m.PassRows(), 0, 0
	for n < len(order) && (n == 0 || rows+len(texts[order[n]].IDs) <= cores*most) {
		rows += len(texts[order[n]].IDs)
		n++
	}
	count := 1
	if rows >= aloneRows*cores {
		count = (rows + coreRows*cores - 1) / (coreRows * cores) * cores
	}
	for i, done := 0, 0; i < n; {
		first, sum, end := i, 0, rows*(len(lists)+1)/count-done
		for ; i < n && (i == first || sum+len(texts[order[i]].IDs) <= most && (sum+len(texts[order[i]].IDs)/2 < end)); i++ {
			sum += len(texts[order[i]].IDs)
		}
		done += sum
		lists = append(lists, order[first:i])
	}
	return lists, order[n:]
}

// batch is a pass of texts, with the rows of each token if wanted.
func (m *Model) batch(texts []tokenizer.Encoding, list []int, each bool) (b graph.Batch) {
	var ids, types []int32
	for _, i := range list {
		t := &texts[i]
		p := graph.Part{N: len(t.IDs)}
		for r := 0; each && r < p.N; r++ {
			p.Rows = append(p.Rows, int32(r))
		}
		b.Parts = append(b.Parts, p)
		ids, types = append(ids, t.IDs...), append(types, t.TypeIDs...)
	}
	b.Inputs = map[string]graph.Tensor{"ids": {Shape: []int{len(ids)}, I: ids}}
	if m.types {
		b.Inputs[TypeIDs] = graph.Tensor{Shape: []int{len(ids)}, I: types}
	}
	return b
}
