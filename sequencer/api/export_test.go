package api

import "context"

// HoldProofs takes all that one client may have of the memory for proofs.
func (s *Server) HoldProofs(ctx context.Context, client string) (release func(), err error) {
	return s.proofs.take(ctx, clientOf(client), s.proofs.limit)
}
