// Package kernels holds nothing but this overview: the arithmetic lies in a package for each trade,
// as a plain Go twin that every machine can run and as assembly for the instruction sets of internal/cpu.
//
//   - linear: quantized and float linear layers, their packed weights and input rows, and MatMul
//   - attn: attention and the key and value cache
//   - elem: norms, activations, sums and products, rotary embedding, rounding of rows
//   - quant: quantizing weights
//   - probe: what the machine can do at best, to hold kernels against
//
// linear and attn share internal/dot, the products of float rows; internal/mem is memory and transposing.
//
// # Integer linear layers
//
// All schemes are one product: unsigned bytes of input times signed bytes of
// weight, summed in int32 without rounding, so every kernel gives the bits of
// the twin (linear/linear_generic.go), for any M, split of N and number of threads.
// 16-bit inputs are two planes of bytes, that is, twice the rows; AVX2, whose products are of words, takes
// them whole where that is faster (I8, many rows), in chunks of K that cannot overflow.
//
// The layout of weights (linear/weight.go) is the same for all: 64 bytes are 16 columns
// of 4 k, a register of VPDPBUSD and a row of an AMX tile. Int4 and int6 are expanded to
// int8, exactly: in registers for few rows, else once a panel of columns for all rows.
//
// Rows x columns a call of assembly takes, K whole but for amx:
//
//	amx      32 x 32 (2x2 tiles), from 5 rows (int4, int6 9), all tiles of rows in turn, for at most 1024 k, whose weights
//	         stay in L1 meanwhile; rows in passes whose inputs fill 1 MB, half of L2 (linear/linear_amx.go)
//	avx512   1, 2, 4, 6 x 64; int4 unpacked in registers 1, 2, 4 x 64 and 6, 8 x 32, int6 1, 2 x 64
//	avxvnni  1 x 64, 2 x 32, 4, 6 x 16; as codes int4 1 x 64, 2 x 32, int6 1 x 64, 2 x 16
//	avx2     2 x 16, as words 1 x 64; as codes 1 x 64, 2 x 16; from 5 rows 6 and 4 x 16 (linear/linear_many.go)
//
// "As codes": the sum of x*(code-zero)*gscale over a group is gscale*(sum of
// x*code - zero * sum of x), exactly, so nothing is unpacked but nibbles. With
// 16 registers that decodes 2.2 to 2.6 times as fast as expanding (1.1B da8w4). AVX2 takes inputs less
// 128 for int4, so that 32 k of a column fit 16 bits, zero is taken away there and one product with gscale widens
// both halves: from cache 1.5 (A16) and 1.3 times (A8) as fast as a product with ones every 16 k.
//
// One or two rows wait for memory. Their kernels read four long streams, one for
// each block of columns, fetched 1 KB ahead into the second-level cache, and go on through several tiles in one call. (2 KB ahead into the first level, which takes
// fewer lines at a time, one core of the Zen 4 kind reads, in turns, GB/s: int8 21 to 25 in place of 29 to 31, A16 20 to 22 in place of 29, int4 23 in place of 25, int6 21 to 23 in place of 26.)
//
// AVX-512 kernels of more rows also read 2 KB ahead of themselves, and spread a line of each block of the next strip's weights over
// 16 k: a core can wait for some 16 lines, so fetching twice as fast only stalled it (16 rows of int4, 1.1B shape, a Xeon without
// AMX: no fetching 80 ms a pass, two lines 75, one line 61 to 65, with reading ahead 55; go run ./bench/streams).
//
// Expanding int4 within a product of the first four rows instead of before all (16 rows, Zen 4 kind) was no faster than doing it apart.
//
// A call takes 100 us at most: assembly cannot be preempted, and a collection
// waits for it. Tiles are configured and released within one call, since a
// goroutine may change threads between two.
//
// # AMX
//
// A core is in one of two states, which change within fractions of a second: most likely its other thread is idle or busy. Peak, on
// registers alone, shows little of it, FedTiles does. With the other thread busy each tile register in use counts: six
// run 1.6 times as fast as eight, so a product uses six, and configures them anew in each call, which forgets what is left in
// the others. With it idle a core of the Emerald-Rapids class does 6 TOPS on registers, 16 lines of 64 bytes that it can
// wait for limit the rest, and so does what memory gives the two cores of a guest, between 10 and 25 GB/s within minutes.
//
// Products alone, one core's own time, 2048 k, everything in L2, TOPS: 2.8 with K whole; 3.2 to 3.4 in parts of 512 k of rows or of
// weights that L1 holds while the other passes by; 3.7 in parts of 1024 k of weights with the rows loaded by
// TILELOADDT1, which does not let them push the weights out. Sums then go to L2 and back once a part. With weights from memory,
// 128 rows, by lines of the next panel fetched in turns from so many places: one place 1.8, two 2.3, eight 2.6, sixteen 2.6;
// only every second line, which had been best beside whole K, 2.1; the panel after the next one 2.3. Large pages under rows and sums: 192 rows
// of 5632 k 2.2 to 2.5. Lines of y fetched ahead, y stored past the caches, passes of fewer rows, 64 and 256 columns at a time: nothing, or less.
//
// Against the kernel before it (K whole, eight tiles, no large pages) in turns, 2 cores, memory at 15 to 20 GB/s, TOPS with
// the epilogue and y in memory: da8w4 128x2048x2048 2.0 to 3.0, 128x4096x4096 2.7 to 3.3, 128x5632x2048 2.3 to 3.3; da8w8 1.9 to 3.0, 2.8 to 2.9, 2.1 to
// 2.8; 512 rows of 5632x2048 write 11 MB of results, for which memory is the limit: 2.8 to 3.1 and 2.6 to 2.5 at 12 GB/s. Int4 and
// int6 expand the next panel between the products of the present one, which vector units are idle beside; apart, that was 13 %
// of the time of a prompt of 512 tokens (qrun bench --cpuprofile). The figures of products alone come from a laboratory that is not kept.
//
// # Other processors
//
// Measured on one core of an EPYC of the Zen 5 kind, which has AVX-512 and no
// AMX, with Read and Peak beside: M = 1 reads at 95 % of Read with int8 weights,
// 85-90 % with int4 (before the streams 90 and 55-70 %), though from cache int4 runs
// at 90 GB/s, 2.5 times what memory gives. What did not help: sums of codes scaled once a
// group, 30 % faster from cache and equal from memory; fetching the group bytes;
// fetching to the second level or farther; streams that go on from item to item; items that get smaller.
// 512x5632x2048 does 0.94-0.97 TOPS, 90-94 % of the peak, da8w4 85-90 %.
//
// Measured on one core of an EPYC of the Zen 3 kind, which has AVX2 only: 512x5632x2048 does 0.19-0.21 TOPS
// with int4, 0.11 with int6 and int8, 0.10 for A16 with all three, where registers alone do 0.29 with bytes, which
// int4 with A8 allows, and 0.15 with words. Before linear_many.go it was 0.094, 0.075, 0.088. Codes of 4 bits become
// bytes within the product of the first rows, not before it: 16 rows of 5632x2048 then take 0.87 to 0.93 of the time, those of the 1.1B shape as a whole
// 0.95 (one core of the Zen 4 kind with --isa avx2, in turns). Weights of 8 bits
// as two planes of 4 were slower than words (0.10). Two cores decode the 1.1B shape at 89-94 % of Read with int8 and at 58-90 % with int4, as Read itself
// goes from 41 to 29 GB/s (qrun bench): the slower memory is, the less computing counts. From cache, 256x1024, int4 does 20 GB/s with A16 and
// 29 with A8 (a bench not kept). Words in place of the two planes
// would be no faster: what they save in products they cost in unpacking; with int6 neither. A 64 byte line of codes takes 28
// operations on vectors for A16, and no mix of products, additions and masks was seen to exceed 3.1 to 3.4 a cycle (4 with shifts for half of them).
//
// # Sinks
//
// A sink (linear.Sink) works on tiles of results in the second-level cache, so no instruction set has kernels of its own for it. On one
// core of the Zen 3 kind, whose third level holds all of a layer's results, gate, up, silu, product and rows of the 1.1B shape take as one
// 97 to 98 % of the time of the steps for 512 rows of int4 and int8, 98 to 100 % for 128, 83 to 98 % for one, and 103 % for many
// rows of bfloat16 (go test -bench Sink ./kernels/linear; a busy machine, medians in turns of the thread's own time, which moved by 3 %).
// Where results go to memory and products are faster, more is to be had: not measured. What it took: 6x16 keeps its inputs for
// gate and up, and its tiles have an odd number of blocks, since rows a power of two apart evict each other (5 %).
//
// # Codes of other tools
//
// Layers of format Codes (linear/coded_generic.go) keep float scales of small groups, so that integer sums end with each
// group: 32 weights of a column are 8 products of bytes for each of the three digits of an input, and 7 float instructions. On one core with AVX-512 of the Zen 4 kind (go
// test -bench Coded ./kernels/linear) many rows are multiplied at 52 to 62 billion weights a second, some four fifths of what three digits allow: the products of a group take 96 cycles of the two pipes that multiply, its float instructions 12 to 16. (Q4_0 54 to 58, Q6_K 47 to 52, Q4_K 53 to 56,
// in turns, since what the two lower digits give becomes a float32 as one integer and zeros of 0 cost nothing.) Rows of 16-bit inputs do 75 to 94, of int8 inputs 140 to 185, eight rows at a time. No other products are exact in fewer cycles on this kind: words take four thirds of them, bfloat16 six thirds, float32 four.
// One form of them is, and was tried: x*u + x'*u' = (x+u')*(x'+u) - x*x' - u*u' (Winograd's inner product) takes one product and two sums of bytes, which run on two pipes more, in place of two products. Digits must leave room for codes, base 192 in place
// of 256 for codes up to 64. The kernel was 13 % faster (67 to 76 billion weights a second in groups of 32, 61 to 64 in groups of 16), prompts 0 to 4 %, at best a seventh by count of pipes: too little for a second layout of inputs. Bytes are
// unpacked to a panel that 64 rows pass. Up to three rows take codes, scales and offsets as they are stored, many blocks a call, each line unpacked in registers between its products. A short run of blocks is
// one stream of codes, fetched 16 KB ahead into the second-level cache; from 768 KB a call on groups are taken in turns from four runs, each fetched 4 KB ahead (1 KB with 8 bits). Loads alone, on small pages a core of the Zen 4 kind reads
// 16 to 19 GB/s as one stream and 22 as four, on large ones 24 to 28 and 28 to 30. In turns with one stream, beside much other work, 4096x4096 on large pages, GB/s: Q8_0 19 to 20 with one, 26 to 28 with four, Q4_0 20 to 25 and 23 to 29, Q4_1 22 to 25 and
// 21 to 26, Q6_K 23 to 25 and 22 to 25; on small pages Q4_0 18.9 and 21.9, Q6_K 17.9 and 21.1, MXFP4 17.6 and 20.1. Runs of 17 KB (SmolLM2-135M) decode 5 to 15 % slower as four streams, whose beginnings nothing fetches; four neighbouring blocks as streams, fetched across
// their ends, were no faster. Products in scales and offsets both (Q4_K) are five runs of memory a stream, of which the processor does not follow twenty (16 to 19 GB/s in place of 25). (On one core of the Zen 5 kind one stream, 8 KB ahead into the first-level cache, had given 38 to 40 GB/s.) Near, on Zen 4, in
// GB/s: Q4_0 36, Q4_K 35, Q6_K 32, Q8_0 66, MXFP4 28, GPTQ 36 to 38.
// Values that are no integers are made float32, four blocks of columns side by side so that four chains of sums are open, and groups are scaled as a whole: e4m3 by tables of the two bytes of bfloat16 (VPERMI2B; without VBMI
// as halves whose sign, exponent and fraction lie one bit lower), 66 to 73 % of probe.Read, 22 GB/s near; NF4 by a permutation of a register of values, 44 to 48 %, 17 GB/s near. Instructions are the limit: on the Zen 4 kind permutations of registers
// run on two of the four vector pipes, products on two, of which one is the same, unpacking on three. 64 codes of e4m3 take 7 permutations and unpackings, a shift, two of logic and four products, 8 cycles at best (8.8 were seen from the second-level
// cache, 27 GB/s), 128 of NF4 take 7 shifts, 8 permutations and 8 products, 15 cycles, 17 GB/s with their scales. Slower for e4m3: shifts in each lane and a product with 2^120 (2.74 ns in place of 2.39), VPERMT2B of both bytes to
// their places (2.64), two shifts and masks for all (2.44). By count two ways are left and neither pays: VDPBF16PS on pairs of bfloat16, with inputs in three parts each, would do 64 codes
// in 6 cycles (5 permutations and unpackings, two of logic, six products), but its sums are of pairs and flush small numbers, so that many rows would have to add in that order too, with three products for each two places where they take two now; and as
// integers e4m3 has 18 bits, three bytes, so that inputs of three bytes take nine products of bytes for each four places. Values of NF4 are float32 without a short form: by parts of bfloat16 they are nine products in place of two. VPBROADCASTD of an input is twice as fast there as VBROADCASTSS: NF4 13.3 to 15.2 GB/s in turns. Codes are read some KB at a time of each block and fetched that far ahead, at the end
// those of the next four blocks: FP8 61 to 69 %, medians in turns.
// On AVX2 codes above 127 in groups of up to 256 are multiplied as words by two digits at once, else as
// nibbles, which is slower than float32: 18 and 14 billion weights a second for many rows where float32 reaches 44 (int8 inputs 48), codes of 6 bits 14 to 27, of 4 bits 32. AVX-VNNI multiplies two rows by 16 columns, at 58 to 77 for all widths (one core of the Zen 5 kind).
//
// # Functions and rows
//
// On AVX2 functions of one value take 0.8 to 1.3 ns (exp, silu, sigmoid, quick_gelu, tanh; plain Go 11 to 30), rmsnorm 0.25 (5.4), softmax 1.0,
// on the same machine (go test -bench Row ./kernels/elem). Since four vectors go side by side, exp, sigmoid, silu, quick_gelu and gelu_tanh do so in 0.4 to 0.55 on a Zen 4 (0.5, 0.8, 0.75, 0.75 and 2.0 one after the other);
// gates add exponents in place of two products with powers of two, which only infinity tells apart.
// gelu is a polynomial of six fused multiply-adds for each of eight pieces, whose coefficients a permutation of a register finds: on one core of the Zen 4 kind 0.24 ns a value on AVX-512 and 0.33 on AVX2, where
// one division, an exponential and a polynomial had taken 0.89 and 2.43. Three vectors go side by side: one after the other the chains fill the scheduler (0.28).
//
// # bfloat16
//
// Where there is AVX512_BF16 but no AMX, one VDPBF16PS takes two products of one parity of k (dot_pairs_amd64.s): all-MiniLM-L6-v2 runs
// in bf16 1.6 times as fast as with widened values and fused multiply-adds on one core of a Zen 4, with the same bits.
//
// # Attention
//
// A strip of 32 rows (a query and head each) stays in the first-level cache
// while it passes over the blocks of 32 positions, 16 rows at a time (attn/attention.go).
// With a bf16 cache and AMX, 128 rows on 16 blocks of heads of 64 take 23 ns a row
// and block: 7.5 products on tiles, 12 softmax, 2.7 preparing queries and results;
// AVX-512 alone takes 86. The tiles hardly run beside the softmax: products of
// 2x2 tiles were slower, scores computed one tile ahead only 4 % quicker. Decoding
// at 1024 positions, 32 heads on 4, reads 20-24 GB/s from the second-level cache;
// an int8 cache, half as many bytes, takes 1.6 times as long, most of it to expand.
//
// In short texts what lies round the products is most: a scatter a key and head took 1.5 % of all-MiniLM-L6-v2's time on lines of 19 tokens, 16 keys turned in registers take 0.5;
// rounding and packing queries went from 1.3 % and a share of Go's to 0.6 when all of a head became one call. With VDPBF16PS texts of up to 4096 keys times values of a head
// need neither cache nor pages (attn.Short): all heads of a short one are one call, four queries at a time. Of MiniLM's shape 20 tokens take 7.9 us in place of 16.4, 128 tokens 187 in place of 222
// (one core of the Zen 4 kind, go test -bench Whole ./kernels/attn); AMX takes that way too, where it is not measured.
//
// Without AVX-512 the products, the softmax and the gate run on AVX2 with the same
// bits; prompts of the 1.1B shape then reached 73-83 % of the peak of words on the Zen 5 kind, before linear_many.go (in plain Go they took
// half of the time). Changes of FTZ and DAZ cost as much as products of two rows and 32 positions, so that one call takes all rows: with keys and values stored and
// results divided in assembly too, whole texts of MiniLM's shape take 0.53 (20 tokens) and 0.63 (128) of the time before, put and attended (one core of the Zen 3 kind,
// go test -bench Whole ./kernels/attn).
//
// # Products of float32 matrices
//
// MatMul serves the FP32 executor and calibration: products and sums each rounded, in
// the order of numerics N6.5. AVX-512: 170 to 180 GFLOPS a core. Measured on AVX2 (go test -bench
// MatMul, one busy core of the Zen 3 kind, least of many runs; it multiplies twice and adds twice
// a cycle, 104 GFLOPS on registers alone): 256x256x512 83 % of that, 96x256x2048 77 %, 128x256x256 76 %,
// 256x128x128 70 %, and the assembly alone, 256 lines from cache, 94 %. Plain Go does 5.5 GFLOPS. One pass over
// x as it lies, unpacked, gave 50 to 60 %: rows a power of two apart evict each other.
//
// # Quantizing
//
// A block of 16 rows is transposed once, straight from bfloat16, and stays in
// the second-level cache; then a lane is a row, in every step (quant/quantize_generic.go).
// A candidate costs 7 instructions for 16 weights and there are 24: at 2 a cycle
// int4 takes 3.1 ns a weight on one core, 0.5 of which are not the search.
// On AVX2 it is 8 lanes and two candidates side by side, 15 instructions for 8 weights, which took 5.4 cycles alone: int4
// takes 4.7 ns a weight on one core, int6 5, int8 1.8. A call for each candidate and group, with the rest in Go, took 9.
package kernels

//go:generate go -C _gen run .
