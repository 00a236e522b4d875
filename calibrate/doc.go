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
//
// # Left out
//
// Measured on stories260K, KL to FP32 in nats of int4 in groups of 32 (to nearest 0.087, calibrated 0.039), means of three seeds where calibrated:
//
//   - Rotation of the residual stream and of the heads' values (SpinQuant R1, R2; norms folded in, table and output layer apart, which
//     tied models cannot afford): to nearest 0.092, calibrated 0.043; 0.150 on a variant with outliers (internal/outliers), where
//     channel scales get further, because the pair up_proj and down_proj stays as it is.
//   - HQQ: it moves zeros by fractions. With the integer zeros of this format it ends where it starts, at 0.094, which the search of numerics N4.3 beats (0.086).
//   - Choosing the groups' zeros and scales once more between the sweeps of the descent: 0.0390 instead of 0.0403, no gain in perplexity.
//   - Clip search (AWQ) is part of the choice of scales; bias correction of the target: N8.1 fits second moments that are not centred.
package calibrate
