package hf

import (
	"fmt"
	"slices"
	"strings"

	"qpt/format/graph"
)

// Tensors are those of a checkpoint.
type Tensors interface {
	Names() []string                 // sorted
	Shape(name string) []int         // nil: there is no such tensor
	Equal(a, b string) (bool, error) // the values of two tensors of one shape
}

// Quantized are tensors of a checkpoint that another tool quantized.
type Quantized interface {
	Tensors
	Natural(name string) bool       // a matrix whose rows are outputs, [.., N, K], also where the model's own is [.., K, N]
	Idle(name string) (bool, error) // it is a bias of zeros that a layer got, whether the model has one or not
}

// Fit fits the graph to a checkpoint's tensors as transformers loads them: the
// prefix of the model without its head may be missing from names; of a tied
// head and embedding one may be missing, and if both are there and differ both
// count, with a note. Missing tensors, wrong shapes and surplus ones are errors
// by name. It returns the surplus tensors that are known to be harmless.
func (m *Model) Fit(t Tensors) (ignored []string, err error) {
	if m.wrapped {
		return m.fitWrapped(t)
	}
	shape := func(name string) []int { s, _ := m.find(t, name); return s }
	if c := m.tied; c != nil && shape(c.head) != nil && shape(c.table) != nil && slices.Equal(shape(c.head), shape(c.table)) {
		_, head := m.find(t, c.head)
		_, table := m.find(t, c.table)
		same, err := t.Equal(head, table)
		if err != nil {
			return nil, err
		}
		if !same {
			m.Graph = c.apart()
			m.Notes = append(m.Notes, fmt.Sprintf("config.json says tie_word_embeddings, but %s and %s differ: both are used, as in transformers 5 (4 uses the embedding for both)", head, table))
		}
	}
	if s := m.spare; s != nil && shape(s.tensor) == nil {
		m.Graph = s.without()
		m.Notes = append(m.Notes, fmt.Sprintf("there is no %s: the file gives no %s", s.tensor, pooled))
	}
	q, quantized := t.(Quantized)
	g := *m.Graph
	g.Params = slices.Clone(g.Params)
	used := map[string]bool{}
	var wrong []string
	missing, head := 0, 0
	for i := range g.Params {
		p := &g.Params[i]
		of, want := p.Stored()
		got, name := m.find(t, of)
		if c := m.tied; c != nil && got == nil && of == c.table {
			got, name = m.find(t, c.head)
		}
		if got != nil && p.View != nil && p.View.Transpose && !p.View.Columns && quantized && q.Natural(name) { // not parts that are turned for what is computed
			p.View = turned(p.View)
			want = p.View.Shape
			if m.Turned == nil {
				m.Turned = map[string]bool{}
			}
			m.Turned[name] = true
		}
		if m.eitherWay && p.View != nil && len(want) == 3 && !slices.Equal(got, want) && slices.Equal(got, turned(p.View).Shape) {
			p.View = turned(p.View)
			want = p.View.Shape
		}
		switch {
		case got == nil && used[name]: // another part of it is told already
		case got == nil:
			missing++
			if !strings.HasPrefix(of, m.prefix) {
				head++
			}
			wrong = append(wrong, fmt.Sprintf("tensor %q %v is missing", of, want))
		case !slices.Equal(got, want):
			wrong = append(wrong, fmt.Sprintf("tensor %q has shape %v, must be %v", name, got, want))
		case name != of && p.View == nil:
			p.View = &graph.View{Of: name, Shape: got}
		case name != of:
			view := *p.View
			view.Of = name
			p.View = &view
		}
		used[name] = true
	}
	var surplus []string
	for _, name := range t.Names() {
		switch {
		case used[name]:
		case m.ignorable(name), m.ignorable(m.prefix + name), m.ignorable(strings.TrimPrefix(name, m.prefix)), m.tied != nil && strings.TrimPrefix(name, m.prefix) == m.tied.head:
			ignored = append(ignored, name)
		default:
			idle := false
			if quantized {
				if idle, err = q.Idle(name); err != nil {
					return nil, err
				}
			}
			if idle {
				ignored = append(ignored, name)
			} else {
				surplus = append(surplus, name)
			}
		}
	}
	if words := m.explain(surplus, missing); words != "" {
		return nil, fmt.Errorf("%w: %s", ErrTensors, words)
	}
	for _, name := range surplus {
		wrong = append(wrong, fmt.Sprintf("tensor %.200q is not part of a %s model with this config", name, m.Type))
	}
	if n := len(wrong); n > 8 {
		wrong = append(wrong[:8], fmt.Sprintf("and %d more", n-8))
		if missing > 7 && len(surplus) > 0 {
			wrong = append(wrong, fmt.Sprintf("the checkpoint has %.200q and %d more that the model does not know", surplus[0], len(surplus)-1))
		}
	}
	if missing == head && missing == len(wrong) && missing > 0 {
		wrong = append(wrong, "the head alone is missing: this is the model without it, which makes no text; as one that embeds texts it needs modules.json of sentence-transformers beside it")
	}
	if wrong != nil {
		return nil, fmt.Errorf("%w: %s", ErrTensors, strings.Join(wrong, "; "))
	}
	m.Graph = &g
	return ignored, nil
}

// turned is the same view of the transpose.
func turned(v *graph.View) *graph.View {
	w := *v
	n := len(v.Shape)
	w.Shape, w.Transpose = slices.Clone(v.Shape), !v.Transpose
	w.Shape[n-2], w.Shape[n-1] = v.Shape[n-1], v.Shape[n-2]
	return &w
}

// find returns the shape and the name of a tensor that the checkpoint may call
// by a name without prefix, or by an old one.
func (m *Model) find(t Tensors, name string) ([]int, string) {
	for _, a := range m.aliases {
		if old, ok := strings.CutSuffix(name, a[0]); ok {
			if s, _ := m.named(t, name); s == nil {
				if s, now := m.named(t, old+a[1]); s != nil {
					return s, now
				}
			}
		}
	}
	return m.named(t, name)
}

func (m *Model) named(t Tensors, name string) ([]int, string) {
	if s := t.Shape(name); s != nil {
		return s, name
	}
	if short, ok := strings.CutPrefix(name, m.prefix); ok && t.Shape(short) != nil {
		return t.Shape(short), short
	}
	if m.older != "" && t.Shape(m.older+strings.TrimPrefix(name, m.prefix)) != nil {
		return t.Shape(m.older + strings.TrimPrefix(name, m.prefix)), m.older + strings.TrimPrefix(name, m.prefix)
	}
	return t.Shape(m.prefix + name), m.prefix + name
}

// signs are parts of tensors' names that tell what kind of file it is.
var signs = []struct{ part, words string }{
	{".lora_A", "an adapter (LoRA): merge it into its base model first (merge_and_unload of peft) and give that"},
	{".lora_B", "an adapter (LoRA): merge it into its base model first (merge_and_unload of peft) and give that"},
	{".qweight", "quantized by GPTQ or AWQ, but nothing says how: " + noConfig},
	{".qzeros", "quantized by GPTQ or AWQ, but nothing says how: " + noConfig},
	{".quant_state.", "quantized by bitsandbytes, but nothing says how: " + noConfig},
	{".weight.absmax", "quantized by bitsandbytes, but nothing says how: " + noConfig},
	{".SCB", "quantized by bitsandbytes, but nothing says how: " + noConfig},
	{".weight_packed", "quantized (compressed-tensors), but nothing says how: " + noConfig},
	{".weight_scale", "quantized (compressed-tensors, FP8), but nothing says how: " + noConfig},
	{"_proj_blocks", "quantized (MXFP4), but nothing says how: " + noConfig},
	{".biases", "quantized by MLX, but nothing says how: " + noConfig},
}

const noConfig = "config.json has no quantization_config, and there is no quantize_config.json or quant_config.json: get them from where the weights come from"

// explain says what surplus tensors and as many missing ones come from, "" if it cannot tell.
func (m *Model) explain(surplus []string, missing int) string {
	for _, sign := range signs {
		for _, name := range surplus {
			if strings.Contains(name, sign.part) {
				return fmt.Sprintf("the tensor %.200q tells that the checkpoint is %s", name, sign.words)
			}
		}
	}
	if missing == 0 || len(surplus) == 0 {
		return ""
	}
	params := map[string]bool{}
	for i := range m.Graph.Params {
		of, _ := m.Graph.Params[i].Stored()
		params[of] = true
	}
	found := map[string]int{}
	for _, name := range surplus {
		for i := range name {
			if name[i] != '.' {
				continue
			}
			if params[name[i+1:]] || params[m.prefix+name[i+1:]] {
				found[name[:i+1]]++
				break
			}
		}
	}
	for prefix, n := range found {
		if 2*n > len(params) {
			return fmt.Sprintf("the tensors' names begin with %q (%.200q): the model is a part of another one, or was saved from a wrapper; save it alone", prefix, surplus[0])
		}
	}
	return ""
}
