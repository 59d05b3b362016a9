package api

import "context"

// HoldProofs takes all that one client may have of the memory for proofs.
func (s *Server) HoldProofs(ctx context.Context, client string) (release func(), err error) {
	return s.proofs.take(ctx, clientOf(client), s.proofs.limit)
}

// HeldData is what legs' data takes of the memory that calls share.
func (s *Server) HeldData() int64 {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	return s.budget.used
}

// HeldParts is what blocks without data take of the memory that calls share.
func (s *Server) HeldParts() int64 {
	s.parts.mu.Lock()
	defer s.parts.mu.Unlock()
	return s.parts.used
}

// FollowedRollups is how many SubscribeBlocks are about.
func (s *Server) FollowedRollups() int {
	s.followed.mu.Lock()
	defer s.followed.mu.Unlock()
	return s.followed.all
}
