// scratch
package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"qpt/convert"
	"qpt/runtime"
	"qpt/runtime/diff"
)

type window struct{ fed, ids []int32 }

func main() {
	ctx := context.Background()
	in, base := os.Args[1], os.Args[2]
	data, _ := os.ReadFile("testdata/text/tinystories_eval.txt")
	dir, _ := os.MkdirTemp("", "xp")
	defer os.RemoveAll(dir)
	m := load(ctx, convert.Options{In: base, Scheme: "f32"}, dir)
	tok, _ := m.Tokenizer()
	ids := tok.Encode(string(data), false)
	size := m.Meta.Model.Context - 1
	var ws []window
	for ; len(ids) > 0; ids = ids[min(size, len(ids)):] {
		w := ids[:min(size, len(ids))]
		ws = append(ws, window{append([]int32{int32(m.Meta.Model.BOS)}, w[:len(w)-1]...), w})
	}
	want := make([][]float32, len(ws))
	nll := make([]float64, len(ws))
	tokens := make([]int, len(ws))
	for i, w := range ws {
		want[i], _ = m.Forward(ctx, w.fed)
		nll[i] = w.score(want[i], m.Vocab())
		tokens[i] = len(w.ids)
	}
	for _, spec := range os.Args[3:] { // scheme:preset[:group]
		f := strings.Split(spec, ":")
		o := convert.Options{In: in, Scheme: f[0], Group: 32}
		if len(f) > 1 && f[1] != "fast" {
			o.Preset = f[1]
			o.Calib = "testdata/text/tinystories_calib.jsonl"
		}
		if len(f) > 2 {
			fmt.Sscan(f[2], &o.Group)
		}
		start := time.Now()
		q := load(ctx, o, dir)
		took := time.Since(start)
		var d diff.Logits
		paired := make([]float64, len(ws))
		for i, w := range ws {
			l, err := q.Forward(ctx, w.fed)
			if err != nil {
				panic(err)
			}
			for r := 0; r < len(l); r += q.Vocab() {
				d.Add(want[i][r:r+q.Vocab()], l[r:r+q.Vocab()])
			}
			paired[i] = w.score(l, q.Vocab()) - nll[i]
		}
		rise := diff.MeanOf(paired, tokens)
		fmt.Printf("%-30s %-22s inc %+.3f%% ± %.3f  KL %.5f  top1 %.2f  (%.1fs)\n", filepath.Base(in), spec, 100*(math.Exp(rise.Value)-1), 100*rise.StdErr, d.KL(), 100*d.Top1(), took.Seconds())
		q.Close()
	}
}

func load(ctx context.Context, opt convert.Options, dir string) *runtime.Model {
	opt.Out = filepath.Join(dir, "m.qpt")
	opt.References = -1
	plan, err := convert.MakePlan(opt)
	if err != nil {
		panic(err)
	}
	defer plan.Close()
	rep, err := plan.Run(ctx, convert.Hooks{})
	if err != nil {
		panic(err)
	}
	for _, n := range rep.Notes {
		fmt.Println("note:", n)
	}
	m, err := runtime.Load(opt.Out, runtime.Options{})
	if err != nil {
		panic(err)
	}
	os.Remove(opt.Out)
	return m
}

func (w *window) score(logits []float32, vocab int) (nll float64) {
	for t, id := range w.ids {
		nll += diff.NLL(logits[t*vocab:(t+1)*vocab], id)
	}
	return nll
}
