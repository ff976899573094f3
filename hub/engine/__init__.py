"""Who calls the steps. The rows are the queue; an engine is only the hand that moves them on."""
