// Package calibrate finds better integers for a model's weights and
// activations from sample data.
//
// Run takes a graph, its weights and token sequences, and returns packed
// weights for the linear layers asked for (gptq.go), and a source that gives all
// other parameters, some of them scaled (fold.go, search.go). Observe finds
// static ranges of activations (static.go) with an Observer (observer.go). A
// result depends neither on the number of threads nor on the machine.
//
//	res, err := calibrate.Run(ctx, g, src, calibrate.Options{Seqs: seqs, Target: target, GPTQ: true, Sweeps: 4, Correct: true})
//	defer res.Close()
//	w, err := res.Load("model.layers.0.mlp.up_proj.weight")
package calibrate
