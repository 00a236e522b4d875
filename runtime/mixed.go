package runtime

import (
	"context"

	"qpt/format/graph"
	"qpt/runtime/exec"
)

// Mixed is Pass of the main program with the layers that from tells as another file of the same model holds them, by the names of their weights. Of the values
// that m keeps as codes those stay so that stored tells.
func (m *Model) Mixed(other *Model, from, stored func(name string) bool) (func(ctx context.Context, b *graph.Batch, use func(out []graph.Tensor) error) error, error) {
	p, err := exec.Compile(m.Graph, &mixed{m.w, other.w, from, stored}, exec.Options{})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, b *graph.Batch, use func(out []graph.Tensor) error) error {
		return m.Pass(ctx, p, b, use)
	}, nil
}

// mixed is the weights of two files.
type mixed struct {
	*weights
	other  *weights
	from   func(weight string) bool
	stored func(value string) bool
}

// Linear implements exec.Weights.
func (w *mixed) Linear(name, bias string) (exec.Layer, error) {
	if w.from(name) {
		return w.other.Linear(name, bias)
	}
	return w.weights.Linear(name, bias)
}

// Stored implements exec.Weights.
func (w *mixed) Stored(value string) (scale float32, zero int32, ok bool) {
	if !w.stored(value) {
		return 0, 0, false
	}
	return w.weights.Stored(value)
}
