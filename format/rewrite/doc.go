// Package rewrite changes the inside of a model so that it computes the same, and undoes that for whoever compares the
// model with the original.
//
// Rotate turns a model by Hadamard rotations that its weights take in (SpinQuant, arXiv 2405.16406, R1 and R2; numerics
// N8.8): the residual stream, and the values of each attention head. Outliers of single channels are spread over a block
// of them, which coarse integers like better. What was done, by this or by calibration, is a format.Rewrites, which the .qpt
// file keeps. Replay makes the same changes again from that record, and translates values between the two models.
package rewrite
