// Package calibrate finds better integers for a model's weights and
// activations, from sample data for the most part.
//
// Run takes a graph, its weights and token sequences, and returns packed
// weights for the linear layers asked for (gptq.go), and a source that gives all
// other parameters, some of them scaled (fold.go, search.go) or with something added (bias.go). Observe finds
// static ranges of activations (static.go) with an Observer (observer.go). Nearest rounds without data (hqq.go). A
// result depends neither on the number of threads nor on the machine.
//
//	res, err := calibrate.Run(ctx, g, src, calibrate.Options{Seqs: seqs, Target: target, GPTQ: true, Sweeps: 4, Correct: true})
//	defer res.Close()
//	w, err := res.Load("model.layers.0.mlp.up_proj.weight")
//
// # Experts
//
// The matrices of a mixture's experts, and those of the heads of latent attention, are calibrated like all others, each with the
// rows that are routed to it; what an expert that the text seldom reaches has to say counts the less (expert.go, numerics N8.9). They get no channel
// scales: those of one norm would have to serve all experts, the router and the layers beside. Routers stay exact.
//
// # Algorithms
//
// What a recipe may list (Options.Enable), as it acts; numerics N8 has the formulas:
//
//	rotate     format/rewrite  Hadamard rotations of the residual stream and of the heads' values (SpinQuant R1, R2)
//	equalize   equalize.go       channels between the layers of networks on tensors (cross-layer equalization)
//	scales     search.go         channel scales (AWQ, SmoothQuant), exponents by search
//	correct    run.go            aim at the FP32 model's results
//	gptq       gptq.go           columns make up for errors, damped, dead inputs apart
//	act-order  actorder.go       of gptq: important columns first, groups static
//	clip       clip.go           groups by AWQ's objective, the block of H
//	hqq        hqq.go            zeros by HQQ's norm, no data
//	descent    gptq.go           codes move, scales are refitted
//	bias       bias.go           means of results
//
// Networks on tensors take equalize, and gptq, descent and correct on patches (rowround.go: adaptive rounding).
//
// Importance (the diagonal of H) weighs every search for scales and groups on data (numerics N4.4).
//
// # Measured
//
// da8w4 in groups of 32, calibrated as the preset balanced is (64 samples): KL from FP32 in nats, and growth of perplexity in percent.
// 8,000 tokens of stories260K, of which one standard error of the growth is 0.4 to 0.8; 6,000 of babyllama-105 (0.2 to 0.5). All are of before
// sums over tokens became products of integers, lines with scales of before their search took few rows first: both moved results by less than that (docs/accuracy.md).
// With layers of the passes as products of 14-bit integers and groups chosen by kernels/quant, on 6,000 tokens each: balanced 0.040 and 3.7, 0.0096 and 0.5 (before: 0.043 and 3.9, 0.0095 and 0.8); gptq 0.062 and 6.0, 0.016 and 1.2
// (before: 0.061 and 5.2, 0.016 and 0.9). With softmax and norms of kernels/elem, which would save 7 % of the time and differ in the last bits only, chance made of it
// balanced 0.043 and 5.2, 0.0095 and 1.0; gptq 0.062 and 5.6, 0.017 and 1.2; they are not used:
//
//	algorithms                                stories260K          babyllama-105
//	                                          KL           growth  KL             growth
//	none, to nearest                          0.091        9.1     0.039          3.4
//	rotate                                    0.094        11.1    0.040          3.3
//	hqq                                       0.095        9.4     0.041          3.2
//	clip                                      0.072        7.2     0.036          2.6
//	bias                                      0.067        7.5     0.030          2.1
//	gptq                                      0.061        5.5     0.016          1.2
//	gptq, act-order                           0.058        5.1     0.016          1.2
//	gptq, clip                                0.059        6.5
//	gptq, act-order, clip                     0.062        6.3
//	gptq, bias                                0.053        4.6     0.015          0.9
//	rotate, clip                              0.085        8.6
//	hqq, bias                                 0.068        7.7
//	balanced: scales, gptq, descent, correct  0.040        3.9     0.0094         0.4
//	balanced and bias                         0.038        3.6     0.0092         0.7
//	balanced and act-order                    0.042        4.2
//	balanced and clip                         0.042        3.9
//	balanced, act-order and clip              0.041        4.0
//	balanced and hqq                          0.042        4.2
//	balanced and rotate                       0.042        5.6
//
//	go run ./bench/accuracy --tokens 8000 --algorithms "" --algorithms balanced --algorithms bias ...
//
// What came of it:
//
//   - bias helps most beside the weaker methods: the others may leave the means to it. Beside balanced, means of three choices of samples: stories260K
//     (16,000 tokens, to nearest 0.0870 and 8.9) KL 0.0386 -> 0.0361, growth 4.3 -> 3.7; babyllama-105 (8,000) 0.0098 -> 0.0097 and 0.9 -> 0.8, which is
//     within the noise. It costs 4 bytes a result, and fits noise where the text has few tokens. No preset has it.
//   - clip, the block instead of the diagonal, is worth a fifth of the KL of rounding to nearest; with gptq, which makes up for
//     what the block sees, nothing. The error that gptq itself would leave as the objective is no better: KL 0.058.
//   - act-order helps gptq a little and costs the rest of balanced as much: with static groups a group cannot follow the weights as they are
//     when its turn comes.
//   - hqq: zeros are integers here, so trying all 16 finds the least; half-quadratic steps rounded at the end give 0.092 and 0.042, the search for least
//     squares 0.091 and 0.039. If its norm chose the gscale too, it would cut outliers off: 0.13 and 0.094.
//   - rotate: these models have no outliers to spread, and groups of 32 with integer zeros follow single channels already. On a variant of stories260K with channels of
//     other scales (bench/outliers) it makes things worse, 2.5 where to nearest has 1.1, scales 0.17 and balanced 0.08: it mixes large channels with
//     small ones in the heads' values, and the pair up_proj and down_proj stays as it is. Tied models pay for a second table.
//   - Choosing the groups' zeros and scales once more between the sweeps of the descent: 0.0390 instead of 0.0403, no gain in perplexity.
package calibrate
