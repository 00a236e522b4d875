package rewrite

import (
	"errors"
	"strings"
	"testing"

	"qpt/format"
	"qpt/internal/num"
)

// A record that does not fit the graph is refused by name, whatever a file says.
func TestReplayRefuses(t *testing.T) {
	g, src := load(t, "../../testdata/stories260K")
	value := func(v format.RewrittenValue) format.Rewrites {
		return format.Rewrites{Values: []format.RewrittenValue{v}}
	}
	param := func(p format.RewrittenParam) format.Rewrites {
		return format.Rewrites{Params: []format.RewrittenParam{p}}
	}
	const norm, table, down = "model.layers.0.input_layernorm", "model.embed_tokens.weight", "model.layers.0.mlp.down_proj.weight"
	for _, c := range []struct {
		rec  format.Rewrites
		want string
	}{
		{value(format.RewrittenValue{Value: "nobody", Scales: []float32{1}}), `"nobody": the graph has no such value`},
		{value(format.RewrittenValue{Value: "ids", Scales: []float32{1}}), `"ids": the graph has no such value`},
		{value(format.RewrittenValue{Value: norm, Scales: make([]float32, 63)}), "63 scales, its width is 64"},
		{value(format.RewrittenValue{Value: norm, Rotation: num.NewRotation(48, 1)}), "a rotation of 48 channels"},
		{value(format.RewrittenValue{Value: norm, Gain: "nobody"}), `gain "nobody" is no parameter`},
		{value(format.RewrittenValue{Value: norm, Gain: table}), "is no parameter of its width 64"},
		{param(format.RewrittenParam{Param: "nobody", Change: format.Added}), `"nobody": the graph has no such parameter`},
		{param(format.RewrittenParam{Param: table, Change: format.Added}), "added, but it is no vector"},
		{param(format.RewrittenParam{Param: down, Change: format.Copied, Of: table}), "which is not alike"},
		{param(format.RewrittenParam{Param: table, Change: format.Copied, Of: table}), "which is not alike"},
		// Everything fits, but one table cannot be both turned and not.
		{value(format.RewrittenValue{Value: "logits", Rotation: num.NewRotation(512, 1)}), `share the parameter "model.embed_tokens.weight"`},
	} {
		if _, err := Replay(g, c.rec, src); !errors.Is(err, format.ErrRewrites) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
		if _, err := Original(g, c.rec); c.want[:5] != "share" && !errors.Is(err, format.ErrRewrites) {
			t.Errorf("%s: the original is made nevertheless: %v", c.want, err)
		}
	}
	// A norm's weights cannot go: the node needs them.
	if _, err := Original(g, param(format.RewrittenParam{Param: norm + ".weight", Change: format.Added})); !errors.Is(err, format.ErrRewrites) {
		t.Error(err)
	}
}
